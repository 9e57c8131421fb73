use burn::module::Module;
use burn::nn::conv::{Conv3d, ConvTranspose3d};
use burn::tensor::{Device, Tensor};

use super::{Activation, ActivationLayer, WeightRng, conv_transpose3d, conv3d, instance_norm};

/// Convolution, instance normalisation, activation (MONAI's `Convolution`, order "NDA").
#[derive(Module, Debug)]
pub struct ConvUnit {
    /// The convolution, kernel 3 with padding 1.
    pub conv: Conv3d,
    /// The activation; without one the unit is the convolution alone, also without normalisation.
    pub activation: Option<ActivationLayer>,
}

impl ConvUnit {
    /// A unit with kernel 3; `channels` is `[in, out]`, no `activation` means convolution only.
    pub fn new(
        channels: [usize; 2],
        stride: usize,
        activation: Option<Activation>,
        rng: &mut WeightRng,
        device: &Device,
    ) -> Self {
        Self {
            conv: conv3d(channels, 3, stride, rng, device),
            activation: activation.map(|activation| activation.init(device)),
        }
    }

    /// `[batch, in, depth, height, width]` to
    /// `[batch, out, ceil(depth / stride), ceil(height / stride), ceil(width / stride)]`.
    pub fn forward(&self, x: Tensor<5>) -> Tensor<5> {
        normalise_and_activate(self.conv.forward(x), self.activation.as_ref())
    }
}

/// Transposed convolution, instance normalisation, activation.
#[derive(Module, Debug)]
pub struct UpConvUnit {
    /// The transposed convolution, kernel 3 with padding 1.
    pub conv: ConvTranspose3d,
    /// The activation; without one the unit is the convolution alone, also without normalisation.
    pub activation: Option<ActivationLayer>,
}

impl UpConvUnit {
    /// A unit with kernel 3; `channels` is `[in, out]`, no `activation` means convolution only.
    pub fn new(
        channels: [usize; 2],
        stride: usize,
        activation: Option<Activation>,
        rng: &mut WeightRng,
        device: &Device,
    ) -> Self {
        Self {
            conv: conv_transpose3d(channels, stride, rng, device),
            activation: activation.map(|activation| activation.init(device)),
        }
    }

    /// `[batch, in, depth, height, width]` to
    /// `[batch, out, stride * depth, stride * height, stride * width]`.
    pub fn forward(&self, x: Tensor<5>) -> Tensor<5> {
        normalise_and_activate(self.conv.forward(x), self.activation.as_ref())
    }
}

fn normalise_and_activate(x: Tensor<5>, activation: Option<&ActivationLayer>) -> Tensor<5> {
    match activation {
        Some(activation) => activation.forward(instance_norm(x)),
        None => x,
    }
}
