use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::{BatchNorm, Conv3d, ConvSpec, WeightRng};

/// Convolution, then batch normalisation; the activation is the caller's.
#[derive(Module, Debug)]
pub struct ConvNorm {
    /// The convolution.
    pub conv: Conv3d,
    /// The normalisation of its output.
    pub norm: BatchNorm,
}

impl ConvNorm {
    /// The layer of `conv`, with PyTorch's default initial weights.
    pub fn new(conv: ConvSpec, rng: &mut WeightRng, device: &Device) -> Self {
        let [_, output] = conv.channels();
        Self {
            conv: conv.init(rng, device),
            norm: BatchNorm::new(output, device),
        }
    }

    /// `[batch, in, depth, height, width]` to `[batch, out, ..]` of [`ConvSpec::output_sizes`].
    pub fn forward(&self, x: Tensor<5>) -> Tensor<5> {
        self.norm.forward(self.conv.forward(x))
    }

    /// Learned parameters of the layer of `conv`; saturating.
    pub(crate) fn parameter_count(conv: ConvSpec) -> u64 {
        let [_, output] = conv.channels();
        conv.parameter_count()
            .saturating_add((output as u64).saturating_mul(2))
    }
}
