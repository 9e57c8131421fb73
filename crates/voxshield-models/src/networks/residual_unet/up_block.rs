use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::ResidualUnetConfig;
use super::levels::Level;
use crate::{ConvTransposeSpec, ResidualUnit, UpConvUnit, WeightRng};

/// One step of the decoder: up-sampling, then a residual unit.
#[derive(Module, Debug)]
pub struct UpBlock {
    /// The transposed convolution.
    pub up: UpConvUnit,
    /// The residual unit after it; `None` in a plain U-Net.
    pub refine: Option<ResidualUnit>,
}

impl UpBlock {
    pub(super) fn new(
        config: &ResidualUnetConfig,
        level: Level,
        rng: &mut WeightRng,
        device: &Device,
    ) -> Self {
        let (plain, activation) = (config.res_units == 0, config.activation);
        let channels = [level.channels + level.below, level.output];
        let up_activation = (!(level.top && plain)).then_some(activation);
        let spec = ConvTransposeSpec::overlapping(channels, [level.stride; 3]);
        let up = UpConvUnit::new(spec, up_activation, rng, device);
        let channels = [level.output; 2];
        let refine = match (plain, level.top) {
            (true, _) => None,
            (false, true) => Some(ResidualUnit::last(level.output, rng, device)),
            (false, false) => Some(ResidualUnit::new(channels, 1, 1, activation, rng, device)),
        };
        Self { up, refine }
    }

    /// `[batch, in, depth, height, width]` to
    /// `[batch, out, stride * depth, stride * height, stride * width]`.
    pub fn forward(&self, x: Tensor<5>) -> Tensor<5> {
        let x = self.up.forward(x);
        match &self.refine {
            Some(unit) => unit.forward(x),
            None => x,
        }
    }

    /// The sizes of the output and the floating-point operations, for an input of `sizes`.
    pub fn cost(&self, sizes: [usize; 3]) -> ([usize; 3], u64) {
        let spec = self.up.conv.spec();
        let (output, up) = (spec.output_sizes(sizes), spec.flops(sizes));
        match &self.refine {
            Some(unit) => (output, up + unit.cost(output).1),
            None => (output, up),
        }
    }
}
