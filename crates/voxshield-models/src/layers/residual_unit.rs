use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::{Activation, Conv3d, ConvSpec, ConvUnit, WeightRng};

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
        let units = unit_specs(channels, stride, subunits)
            .map(|spec| ConvUnit::new(spec, Some(activation), rng, device))
            .collect();
        Self {
            units,
            residual: residual_spec(channels, stride).map(|spec| spec.init(rng, device)),
            skip: true,
        }
    }

    /// `y = x + conv(x)`: the last unit of a network, without normalisation and activation.
    pub fn last(channels: usize, rng: &mut WeightRng, device: &Device) -> Self {
        let spec = ConvSpec::new([channels; 2], 3);
        Self {
            units: vec![ConvUnit::new(spec, None, rng, device)],
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
        let units = unit_specs(channels, stride, 1)
            .map(|spec| ConvUnit::new(spec, Some(activation), rng, device))
            .collect();
        Self {
            units,
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

    /// The sizes of the output and the floating-point operations, for an input of `sizes`.
    pub fn cost(&self, sizes: [usize; 3]) -> ([usize; 3], u64) {
        let residual = self.residual.as_ref();
        let residual = residual.map_or(0, |conv| conv.spec().flops(sizes));
        self.units
            .iter()
            .fold((sizes, residual), |(sizes, sum), unit| {
                let spec = unit.conv.spec();
                (spec.output_sizes(sizes), sum + spec.flops(sizes))
            })
    }
}

/// The convolutions of the chain.
pub(super) fn unit_specs(
    [input, output]: [usize; 2],
    stride: usize,
    subunits: usize,
) -> impl Iterator<Item = ConvSpec> {
    (0..subunits.max(1)).map(move |index| match index {
        0 => ConvSpec::new([input, output], 3).with_stride([stride; 3]),
        _ => ConvSpec::new([output; 2], 3),
    })
}

/// The residual connection's convolution; `None` for the identity.
pub(super) fn residual_spec(channels: [usize; 2], stride: usize) -> Option<ConvSpec> {
    let [input, output] = channels;
    match (stride == 1, input == output) {
        (false, _) => Some(ConvSpec::new(channels, 3).with_stride([stride; 3])),
        (true, false) => Some(ConvSpec::new(channels, 1)),
        (true, true) => None,
    }
}
