use burn::module::Module;
use burn::nn::conv::Conv3d;
use burn::tensor::{Device, Tensor};

use super::{Activation, ConvUnit, WeightRng, conv3d};

/// A chain of [`ConvUnit`]s with a residual connection around it (MONAI's `ResidualUnit`):
/// `y = units(x) + residual(x)`, nothing after the addition.
///
/// The residual is the identity if neither size nor channels change, a 1x1x1 convolution if only
/// the channels do, and a strided 3x3x3 convolution if the size does. With no residual units at
/// all ([`ResidualUnit::plain`]) it is one [`ConvUnit`] and nothing is added.
#[derive(Module, Debug)]
pub struct ResidualUnit {
    /// The chain; the first one carries the stride and the change of channels.
    pub units: Vec<ConvUnit>,
    /// The convolution of the residual connection; `None` for the identity.
    pub residual: Option<Conv3d>,
    skip: bool,
}

impl ResidualUnit {
    /// `subunits` (at least 1) units; `channels` is `[in, out]`.
    pub fn new(
        channels: [usize; 2],
        stride: usize,
        subunits: usize,
        activation: Activation,
        rng: &mut WeightRng,
        device: &Device,
    ) -> Self {
        let [_, output] = channels;
        let mut units = vec![ConvUnit::new(
            channels,
            stride,
            Some(activation),
            rng,
            device,
        )];
        for _ in 1..subunits {
            units.push(ConvUnit::new([output; 2], 1, Some(activation), rng, device));
        }
        let residual = residual_kernel(channels, stride)
            .map(|kernel| conv3d(channels, kernel, stride, rng, device));
        Self {
            units,
            residual,
            skip: true,
        }
    }

    /// `y = x + conv(x)`: the last unit of a network, without normalisation and activation.
    pub fn last(channels: usize, rng: &mut WeightRng, device: &Device) -> Self {
        Self {
            units: vec![ConvUnit::new([channels; 2], 1, None, rng, device)],
            residual: None,
            skip: true,
        }
    }

    /// One unit without a residual connection: the block of a plain U-Net.
    pub fn plain(
        channels: [usize; 2],
        stride: usize,
        activation: Activation,
        rng: &mut WeightRng,
        device: &Device,
    ) -> Self {
        Self {
            units: vec![ConvUnit::new(
                channels,
                stride,
                Some(activation),
                rng,
                device,
            )],
            residual: None,
            skip: false,
        }
    }

    /// `[batch, in, depth, height, width]` to
    /// `[batch, out, ceil(depth / stride), ceil(height / stride), ceil(width / stride)]`.
    pub fn forward(&self, x: Tensor<5>) -> Tensor<5> {
        let run = |x| self.units.iter().fold(x, |x, unit| unit.forward(x));
        match (&self.residual, self.skip) {
            (Some(conv), _) => run(x.clone()) + conv.forward(x),
            (None, true) => run(x.clone()) + x,
            (None, false) => run(x),
        }
    }
}

/// The kernel of the residual connection's convolution; `None` for the identity.
pub(super) fn residual_kernel([input, output]: [usize; 2], stride: usize) -> Option<usize> {
    match (stride == 1, input == output) {
        (false, _) => Some(3),
        (true, false) => Some(1),
        (true, true) => None,
    }
}
