use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::{NnUnetBlock, NnUnetConfig, NnUnetConv, NnUnetEncoder};
use crate::WeightRng;

/// The way down of an [`NnUnet`](super::NnUnet).
#[derive(Module, Debug)]
pub struct NnUnetStages {
    /// A convolution at full resolution, in front of residual stages.
    pub stem: Option<NnUnetConv>,
    /// From the full resolution down.
    pub stages: Vec<EncoderStage>,
}

/// One resolution of the encoder.
#[derive(Module, Debug)]
pub enum EncoderStage {
    /// Convolutions, the first one strided.
    Plain(Vec<NnUnetConv>),
    /// Residual blocks, the first one strided.
    Residual(Vec<NnUnetBlock>),
}

impl NnUnetStages {
    pub(super) fn new(config: &NnUnetConfig, rng: &mut WeightRng, device: &Device) -> Self {
        let stem = config.stem().map(|spec| NnUnetConv::new(spec, rng, device));
        let mut stage = |index| {
            let specs = config.encoder_specs(index);
            match config.encoder {
                NnUnetEncoder::Plain => EncoderStage::Plain(
                    specs
                        .map(|spec| NnUnetConv::new(spec, rng, device))
                        .collect(),
                ),
                NnUnetEncoder::Residual => EncoderStage::Residual(
                    specs
                        .map(|spec| NnUnetBlock::new(spec, rng, device))
                        .collect(),
                ),
            }
        };
        Self {
            stem,
            stages: (0..config.features.len()).map(&mut stage).collect(),
        }
    }

    /// `[batch, in_channels, depth, height, width]` to the features of every stage, from the top.
    pub fn forward(&self, x: Tensor<5>) -> Vec<Tensor<5>> {
        let mut x = match &self.stem {
            Some(stem) => stem.forward(x),
            None => x,
        };
        let mut features = Vec::with_capacity(self.stages.len());
        for stage in &self.stages {
            x = stage.forward(x);
            features.push(x.clone());
        }
        features
    }

    /// The sizes of every stage, from the top, and the floating-point operations.
    pub(super) fn cost(&self, sizes: [usize; 3]) -> (Vec<[usize; 3]>, u64) {
        let mut flops = self.stem.as_ref().map_or(0, |stem| stem.cost(sizes).1);
        let mut sizes = sizes;
        let mut all = Vec::with_capacity(self.stages.len());
        for stage in &self.stages {
            let (output, own) = stage.cost(sizes);
            flops += own;
            sizes = output;
            all.push(output);
        }
        (all, flops)
    }
}

impl EncoderStage {
    /// `[batch, in, depth, height, width]` to `[batch, out, ..]`, every size divided by the stride.
    pub fn forward(&self, x: Tensor<5>) -> Tensor<5> {
        match self {
            Self::Plain(convs) => convs.iter().fold(x, |x, conv| conv.forward(x)),
            Self::Residual(blocks) => blocks.iter().fold(x, |x, block| block.forward(x)),
        }
    }

    fn cost(&self, sizes: [usize; 3]) -> ([usize; 3], u64) {
        let mut flops = 0;
        let mut run = |(sizes, own)| {
            flops += own;
            sizes
        };
        let output = match self {
            Self::Plain(convs) => convs.iter().fold(sizes, |n, conv| run(conv.cost(n))),
            Self::Residual(blocks) => blocks.iter().fold(sizes, |n, block| run(block.cost(n))),
        };
        (output, flops)
    }
}
