use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::conv::SLOPE;
use super::{NnUnetConfig, NnUnetConv};
use crate::{Conv3d, ConvTranspose3d, WeightRng};

/// The way up of an [`NnUnet`](super::NnUnet); every list begins at the deepest stage.
#[derive(Module, Debug)]
pub struct NnUnetDecoder {
    /// Up-sampling to the resolution of each stage.
    pub transpconvs: Vec<ConvTranspose3d>,
    /// The convolutions of each stage.
    pub stages: Vec<Vec<NnUnetConv>>,
    /// The head of each stage: a 1x1x1 convolution to the classes.
    pub seg_layers: Vec<Conv3d>,
}

impl NnUnetDecoder {
    pub(super) fn new(config: &NnUnetConfig, rng: &mut WeightRng, device: &Device) -> Self {
        let (mut transpconvs, mut stages, mut seg_layers) = (Vec::new(), Vec::new(), Vec::new());
        for stage in 0..config.decoder_convs.len() {
            transpconvs.push(config.up_spec(stage).init_he(SLOPE, rng, device));
            let convs = config.decoder_specs(stage);
            stages.push(
                convs
                    .map(|spec| NnUnetConv::new(spec, rng, device))
                    .collect(),
            );
            seg_layers.push(config.head_spec(stage).init_he(SLOPE, rng, device));
        }
        Self {
            transpconvs,
            stages,
            seg_layers,
        }
    }

    /// The logits of the `heads` highest resolutions, the highest first, from the features of
    /// every stage of the encoder, `[batch, channel, depth, height, width]` from the top.
    pub(super) fn forward(&self, mut features: Vec<Tensor<5>>, heads: usize) -> Vec<Tensor<5>> {
        let Some(mut x) = features.pop() else {
            return Vec::new();
        };
        let first = self.stages.len().saturating_sub(heads);
        let mut logits = Vec::with_capacity(heads);
        for (stage, skip) in features.into_iter().rev().enumerate() {
            let up = self.transpconvs[stage].forward(x);
            let joined = Tensor::cat(vec![up, skip], 1);
            let convs = self.stages[stage].iter();
            x = convs.fold(joined, |x, conv| conv.forward(x));
            if stage >= first {
                logits.push(self.seg_layers[stage].forward(x.clone()));
            }
        }
        logits.reverse();
        logits
    }

    /// Floating-point operations, from the sizes of every stage of the encoder from the top.
    pub(super) fn flops(&self, sizes: &[[usize; 3]]) -> u64 {
        let mut flops = 0;
        let levels = sizes.windows(2).rev().enumerate();
        for (stage, level) in levels {
            flops += self.transpconvs[stage].spec().flops(level[1]);
            flops += self.seg_layers[stage].spec().flops(level[0]);
            let convs = self.stages[stage].iter();
            flops += convs.map(|conv| conv.cost(level[0]).1).sum::<u64>();
        }
        flops
    }
}
