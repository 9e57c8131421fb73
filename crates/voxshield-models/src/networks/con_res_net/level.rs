use burn::module::Module;
use burn::tensor::activation::sigmoid;
use burn::tensor::{Device, Tensor};

use super::pre_activation::{conv3, pre_parameters};
use super::standardised::standardised;
use super::{PreActivation, slice_difference};
use crate::{Conv3d, ConvSpec, WeightRng, upsample_aligned};

/// One step of the decoder of a [`ConResNet`](super::ConResNet): a segmentation path and a residual
/// path, each of which informs the other.
///
/// With the features `s` of the segmentation and `o` of the residuals from below, both up-sampled to
/// the sizes of the encoder's features `e`, and `D` the [`slice_difference`]:
///
/// ```text
/// A = seg(up(s) + e)
/// O = residual_out(residual_in(up(o)) + context(D(sigmoid(A))))
/// the result is (A (1 + sigmoid(O)), O)
/// ```
#[derive(Module, Debug)]
pub struct ConResLevel {
    /// To the channels of this level.
    pub seg: PreActivation,
    /// A 1x1x1 convolution from the segmentation to the residual path, without bias.
    pub context: Conv3d,
    /// What the residuals from below go through; `None` if they have the right channels.
    pub residual_in: Option<ResidualInput>,
    /// The last one of the residual path.
    pub residual_out: PreActivation,
}

/// The entry of the residual path into a level.
#[derive(Module, Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "a network has two of them, and a box is no module"
)]
pub enum ResidualInput {
    /// The deepest level takes the differences of the input itself.
    Raw(Conv3d),
    /// A change of channels.
    Features(PreActivation),
}

impl ConResLevel {
    pub(super) fn new(
        [input, output]: [usize; 2],
        groups: usize,
        residual_in: Option<ResidualInput>,
        rng: &mut WeightRng,
        device: &Device,
    ) -> Self {
        Self {
            seg: PreActivation::new(conv3([input, output]), groups, rng, device),
            context: context(output).init(rng, device),
            residual_in,
            residual_out: PreActivation::new(conv3([output; 2]), groups, rng, device),
        }
    }

    /// The features of segmentation and residuals, `[batch, out, ..]` with the sizes of `encoder`.
    pub(super) fn forward(
        &self,
        below: Tensor<5>,
        encoder: Tensor<5>,
        residual: Tensor<5>,
    ) -> (Tensor<5>, Tensor<5>) {
        let [_, _, sizes @ ..] = encoder.dims();
        let a = self.seg.forward(upsample_aligned(below, sizes) + encoder);
        let difference = slice_difference(sigmoid(a.clone()));
        let context = self.context.forward(difference);
        let residual = upsample_aligned(residual, sizes);
        let residual = match &self.residual_in {
            Some(ResidualInput::Raw(conv)) => standardised(conv, residual),
            Some(ResidualInput::Features(pre)) => pre.forward(residual),
            None => residual,
        };
        let o = self.residual_out.forward(residual + context);
        (a * (sigmoid(o.clone()) + 1.0), o)
    }

    /// Floating-point operations, for encoder features of `sizes`.
    pub(super) fn flops(&self, sizes: [usize; 3]) -> u64 {
        let residual_in = match &self.residual_in {
            Some(ResidualInput::Raw(conv)) => conv.spec().flops(sizes),
            Some(ResidualInput::Features(pre)) => pre.conv.spec().flops(sizes),
            None => 0,
        };
        let convs = [&self.seg.conv, &self.context, &self.residual_out.conv];
        let sum: u64 = convs.iter().map(|conv| conv.spec().flops(sizes)).sum();
        sum + residual_in
    }
}

/// Parameters of a [`ConResLevel`] without its `residual_in`; saturating.
pub(super) fn level_parameters(channels: [usize; 2]) -> u64 {
    let [_, output] = channels;
    pre_parameters(channels)
        .saturating_add(context(output).parameter_count())
        .saturating_add(pre_parameters([output; 2]))
}

fn context(channels: usize) -> ConvSpec {
    ConvSpec::new([channels; 2], 1).without_bias()
}
