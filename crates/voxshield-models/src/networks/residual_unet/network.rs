use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::names;
use super::{ResidualUnetConfig, UpBlock};
use crate::{NamedParameters, ResidualUnit, Segmenter, WeightRng};

/// A 3D U-Net with residual units, the structure and the parameter names of MONAI's `UNet`.
///
/// Each level halves the volume (for stride 2) on the way down, and on the way up joins its own
/// features, first, with those from below. Created by [`ResidualUnetConfig::init`], used through
/// [`Segmenter`].
#[derive(Module, Debug)]
pub struct ResidualUnet {
    /// The encoder, from the top.
    pub down: Vec<ResidualUnit>,
    /// The deepest block.
    pub bottom: ResidualUnit,
    /// The decoder, `up[i]` beside `down[i]`.
    pub up: Vec<UpBlock>,
    #[module(skip)]
    config: ResidualUnetConfig,
}

impl ResidualUnet {
    /// Builds a validated configuration. The weights are drawn encoder first, then the bottom,
    /// then the decoder from the top.
    pub(super) fn new(config: ResidualUnetConfig, rng: &mut WeightRng, device: &Device) -> Self {
        let down = config
            .levels()
            .map(|level| {
                block(
                    &config,
                    [level.input, level.channels],
                    level.stride,
                    rng,
                    device,
                )
            })
            .collect();
        let (last, bottom) = match config.channels.as_slice() {
            [.., last, bottom] => (*last, *bottom),
            _ => (config.in_channels, config.in_channels),
        };
        let bottom = block(&config, [last, bottom], 1, rng, device);
        let up = config
            .levels()
            .map(|level| UpBlock::new(&config, level, rng, device))
            .collect();
        Self {
            down,
            bottom,
            up,
            config,
        }
    }

    /// The configuration that the network was created from.
    pub fn config(&self) -> &ResidualUnetConfig {
        &self.config
    }
}

impl Segmenter for ResidualUnet {
    fn forward(&self, x: Tensor<5>) -> Tensor<5> {
        let mut features = Vec::with_capacity(self.down.len());
        let mut x = x;
        for block in &self.down {
            x = block.forward(x);
            features.push(x.clone());
        }
        let mut x = self.bottom.forward(x);
        for (block, skip) in self.up.iter().zip(features).rev() {
            x = block.forward(Tensor::cat(vec![skip, x], 1));
        }
        x
    }

    fn in_channels(&self) -> usize {
        self.config.in_channels
    }

    fn classes(&self) -> usize {
        self.config.out_channels
    }

    fn size_multiple(&self) -> [usize; 3] {
        [self.config.total_stride(); 3]
    }

    fn flops(&self, sizes: [usize; 3]) -> u64 {
        let mut sum = 0;
        let mut run = |(sizes, flops)| {
            sum += flops;
            sizes
        };
        let down = self.down.iter().fold(sizes, |n, block| run(block.cost(n)));
        let bottom = run(self.bottom.cost(down));
        self.up
            .iter()
            .rev()
            .fold(bottom, |n, block| run(block.cost(n)));
        sum
    }
}

impl NamedParameters for ResidualUnet {
    fn parameter_name(&self, path: &[String]) -> String {
        names::monai(path, self.down.len(), self.config.res_units > 0)
    }
}

fn block(
    config: &ResidualUnetConfig,
    channels: [usize; 2],
    stride: usize,
    rng: &mut WeightRng,
    device: &Device,
) -> ResidualUnit {
    match config.res_units {
        0 => ResidualUnit::plain(channels, stride, config.activation, rng, device),
        units => ResidualUnit::new(channels, stride, units, config.activation, rng, device),
    }
}
