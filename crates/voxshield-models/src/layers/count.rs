//! Parameter counts of the layers, without creating them. All of them saturate: they are computed
//! for configurations that have not been checked yet.

use super::residual_unit::residual_spec;
use super::{Activation, ConvSpec, ConvTransposeSpec};

/// Parameters of [`ResidualUnit::new`](super::ResidualUnit::new), or of
/// [`ResidualUnit::plain`](super::ResidualUnit::plain) for 0 subunits.
pub(crate) fn residual_unit_parameters(
    channels: [usize; 2],
    stride: usize,
    subunits: usize,
    activation: Activation,
) -> u64 {
    let [_, output] = channels;
    let unit = |channels| conv_unit_parameters(channels, activation);
    let residual = residual_spec(channels, stride).filter(|_| subunits > 0);
    // Not a sum over the units: a configuration that has not been checked may ask for 2^60.
    let repeats = (subunits as u64).saturating_sub(1);
    unit(channels)
        .saturating_add(unit([output; 2]).saturating_mul(repeats))
        .saturating_add(residual.map_or(0, |spec| spec.parameter_count()))
}

/// Parameters of a [`ConvUnit`](super::ConvUnit) with kernel 3.
pub(crate) fn conv_unit_parameters(channels: [usize; 2], activation: Activation) -> u64 {
    let conv = ConvSpec::new(channels, 3).parameter_count();
    conv.saturating_add(activation.parameter_count())
}

/// Parameters of [`ResidualUnit::last`](super::ResidualUnit::last).
pub(crate) fn last_unit_parameters(channels: usize) -> u64 {
    ConvSpec::new([channels; 2], 3).parameter_count()
}

/// Parameters of an [`UpConvUnit`](super::UpConvUnit) with kernel 3.
pub(crate) fn up_conv_parameters(channels: [usize; 2], activation: Option<Activation>) -> u64 {
    let slope = activation.map_or(0, Activation::parameter_count);
    let conv = ConvTransposeSpec::overlapping(channels, [2; 3]);
    conv.parameter_count().saturating_add(slope)
}
