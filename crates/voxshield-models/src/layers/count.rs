//! Parameter counts of the layers, without creating them. All of them saturate: they are computed
//! for configurations that have not been checked yet.

use super::Activation;
use super::residual_unit::residual_kernel;

/// Parameters of [`ResidualUnit::new`](super::ResidualUnit::new), or of
/// [`ResidualUnit::plain`](super::ResidualUnit::plain) for 0 subunits.
pub(crate) fn residual_unit_parameters(
    channels: [usize; 2],
    stride: usize,
    subunits: usize,
    activation: Activation,
) -> u64 {
    let [_, output] = channels;
    let slope = activation.parameter_count();
    let first = conv_parameters(channels, 3).saturating_add(slope);
    let following = conv_parameters([output; 2], 3).saturating_add(slope);
    let residual = match residual_kernel(channels, stride) {
        Some(kernel) if subunits > 0 => conv_parameters(channels, kernel),
        _ => 0,
    };
    let repeats = (subunits as u64).saturating_sub(1);
    first
        .saturating_add(following.saturating_mul(repeats))
        .saturating_add(residual)
}

/// Parameters of [`ResidualUnit::last`](super::ResidualUnit::last).
pub(crate) fn last_unit_parameters(channels: usize) -> u64 {
    conv_parameters([channels; 2], 3)
}

/// Parameters of an [`UpConvUnit`](super::UpConvUnit).
pub(crate) fn up_conv_parameters(channels: [usize; 2], activation: Option<Activation>) -> u64 {
    let slope = activation.map_or(0, Activation::parameter_count);
    conv_parameters(channels, 3).saturating_add(slope)
}

fn conv_parameters([input, output]: [usize; 2], kernel: usize) -> u64 {
    let weights = (input as u64)
        .saturating_mul(output as u64)
        .saturating_mul((kernel as u64).pow(3));
    weights.saturating_add(output as u64)
}
