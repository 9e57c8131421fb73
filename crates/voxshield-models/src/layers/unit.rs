use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::{
    Activation, ActivationLayer, Conv3d, ConvSpec, ConvTranspose3d, ConvTransposeSpec, WeightRng,
    normalise_and_activate,
};

/// Convolution, instance normalisation, activation (MONAI's `Convolution`, order "NDA").
#[derive(Module, Debug)]
pub struct ConvUnit {
    /// The convolution.
    pub conv: Conv3d,
    /// The activation; without one the unit is the convolution alone, also without normalisation.
    pub activation: Option<ActivationLayer>,
}

impl ConvUnit {
    /// No `activation` means convolution only.
    pub fn new(
        conv: ConvSpec,
        activation: Option<Activation>,
        rng: &mut WeightRng,
        device: &Device,
    ) -> Self {
        Self {
            conv: conv.init(rng, device),
            activation: activation.map(|activation| activation.init(device)),
        }
    }

    /// `[batch, in, depth, height, width]` to `[batch, out, ..]` of [`ConvSpec::output_sizes`].
    pub fn forward(&self, x: Tensor<5>) -> Tensor<5> {
        normalised(self.conv.forward(x), self.activation.as_ref())
    }
}

/// Transposed convolution, instance normalisation, activation.
#[derive(Module, Debug)]
pub struct UpConvUnit {
    /// The transposed convolution.
    pub conv: ConvTranspose3d,
    /// The activation; without one the unit is the convolution alone, also without normalisation.
    pub activation: Option<ActivationLayer>,
}

impl UpConvUnit {
    /// No `activation` means convolution only.
    pub fn new(
        conv: ConvTransposeSpec,
        activation: Option<Activation>,
        rng: &mut WeightRng,
        device: &Device,
    ) -> Self {
        Self {
            conv: conv.init(rng, device),
            activation: activation.map(|activation| activation.init(device)),
        }
    }

    /// `[batch, in, depth, height, width]` to `[batch, out, ..]` of
    /// [`ConvTransposeSpec::output_sizes`].
    pub fn forward(&self, x: Tensor<5>) -> Tensor<5> {
        normalised(self.conv.forward(x), self.activation.as_ref())
    }
}

fn normalised(x: Tensor<5>, activation: Option<&ActivationLayer>) -> Tensor<5> {
    match activation {
        Some(activation) => normalise_and_activate(x, None, Some(activation)),
        None => x,
    }
}
