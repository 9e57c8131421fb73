use burn::module::Module;
use burn::nn::InstanceNorm;
use burn::tensor::{Device, Tensor};

use crate::layers::normalise_and_activate;
use crate::{Activation, ActivationLayer, Conv3d, ConvSpec, WeightRng, affine_instance_norm};

/// The slope of nnU-Net's leaky ReLU, also for the initial weights.
pub(super) const SLOPE: f64 = 0.01;

/// Convolution, instance normalisation with weight and bias, leaky ReLU with slope 0.01 (nnU-Net's
/// `ConvDropoutNormReLU` without dropout).
#[derive(Module, Debug)]
pub struct NnUnetConv {
    /// The convolution.
    pub conv: Conv3d,
    /// The normalisation.
    pub norm: InstanceNorm,
    /// The activation, if there is one.
    pub activation: Option<ActivationLayer>,
}

impl NnUnetConv {
    /// With the leaky ReLU.
    pub(super) fn new(spec: ConvSpec, rng: &mut WeightRng, device: &Device) -> Self {
        let activation = Activation::LeakyRelu(SLOPE).init(device);
        Self {
            activation: Some(activation),
            ..Self::linear(spec, rng, device)
        }
    }

    /// Without an activation.
    pub(super) fn linear(spec: ConvSpec, rng: &mut WeightRng, device: &Device) -> Self {
        let [_, output] = spec.channels();
        Self {
            conv: spec.init_he(SLOPE, rng, device),
            norm: affine_instance_norm(output, device),
            activation: None,
        }
    }

    /// `[batch, in, depth, height, width]` to `[batch, out, ..]` of [`ConvSpec::output_sizes`].
    pub fn forward(&self, x: Tensor<5>) -> Tensor<5> {
        let x = self.conv.forward(x);
        normalise_and_activate(x, Some(&self.norm), self.activation.as_ref())
    }

    /// The sizes of the output and the floating-point operations, for an input of `sizes`.
    pub fn cost(&self, sizes: [usize; 3]) -> ([usize; 3], u64) {
        let spec = self.conv.spec();
        (spec.output_sizes(sizes), spec.flops(sizes))
    }
}

/// Parameters of a [`NnUnetConv`]; saturating.
pub(super) fn unit_parameters(spec: ConvSpec) -> u64 {
    let [_, output] = spec.channels();
    let norm = (output as u64).saturating_mul(2);
    spec.parameter_count().saturating_add(norm)
}
