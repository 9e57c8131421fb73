use burn::module::Module;
use burn::nn::GroupNorm;
use burn::tensor::{Device, Tensor};

use super::standardised::standardised;
use crate::layers::{group_norm, group_norm_relu};
use crate::{ChannelDropout, Conv3d, ConvSpec, WeightRng};

/// Group normalisation, ReLU, dropout where there is one, and a convolution with standardised
/// weights.
#[derive(Module, Debug)]
pub struct PreActivation {
    /// The normalisation, with a weight and a bias for each channel.
    pub norm: GroupNorm,
    /// Dropout of channels, in front of the convolution.
    pub dropout: Option<ChannelDropout>,
    /// The convolution, without bias.
    pub conv: Conv3d,
}

impl PreActivation {
    /// `conv` is without bias; `groups` divides its input channels.
    pub(super) fn new(conv: ConvSpec, groups: usize, rng: &mut WeightRng, device: &Device) -> Self {
        let [input, _] = conv.channels();
        Self {
            norm: group_norm(input, groups, device),
            dropout: None,
            conv: conv.init(rng, device),
        }
    }

    /// `[batch, in, depth, height, width]` to `[batch, out, ..]` of [`ConvSpec::output_sizes`].
    pub fn forward(&self, x: Tensor<5>) -> Tensor<5> {
        let x = group_norm_relu(&self.norm, x);
        let x = match &self.dropout {
            Some(dropout) => dropout.forward(x),
            None => x,
        };
        standardised(&self.conv, x)
    }
}

/// A residual block of two [`PreActivation`]s, `y = x + pre2(pre1(x))`.
#[derive(Module, Debug)]
pub struct PreActivationBlock {
    /// The first one.
    pub pre1: PreActivation,
    /// The second one.
    pub pre2: PreActivation,
}

impl PreActivationBlock {
    pub(super) fn new(conv: ConvSpec, groups: usize, rng: &mut WeightRng, device: &Device) -> Self {
        Self {
            pre1: PreActivation::new(conv, groups, rng, device),
            pre2: PreActivation::new(conv, groups, rng, device),
        }
    }

    /// `[batch, channel, depth, height, width]`, kept.
    pub fn forward(&self, x: Tensor<5>) -> Tensor<5> {
        self.pre2.forward(self.pre1.forward(x.clone())) + x
    }

    /// Floating-point operations for an input of `sizes`.
    pub(super) fn flops(&self, sizes: [usize; 3]) -> u64 {
        self.pre1.conv.spec().flops(sizes) + self.pre2.conv.spec().flops(sizes)
    }
}

/// A 3x3x3 convolution of this network.
pub(super) fn conv3(channels: [usize; 2]) -> ConvSpec {
    ConvSpec::new(channels, 3).without_bias()
}

/// Parameters of a [`PreActivation`] with a 3x3x3 convolution; saturating.
pub(super) fn pre_parameters(channels: [usize; 2]) -> u64 {
    let norm = (channels[0] as u64).saturating_mul(2);
    conv3(channels).parameter_count().saturating_add(norm)
}
