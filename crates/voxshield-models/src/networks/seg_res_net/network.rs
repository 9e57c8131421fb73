use burn::module::Module;
use burn::nn::GroupNorm;
use burn::tensor::{Device, Tensor};

use super::SegResNetConfig;
use super::block::ResBlock;
use crate::layers::{group_norm, group_norm_relu};
use crate::segmenter::check_multiples;
use crate::{
    ChannelDropout, Conv3d, ModelError, NamedParameters, Segmenter, WeightRng, upsample_trilinear,
};

/// The network of Myronenko (arXiv 1810.11654) for brain tumours, with the structure and the
/// parameter names of MONAI's `SegResNet`.
///
/// ```text
/// x(0)     = blocks(dropout(conv(x)))
/// x(i + 1) = blocks(conv(x(i))), the convolution strided
/// y(i)     = blocks(upsample(conv1(y(i + 1))) + x(i))
/// logits   = conv1(relu(groupnorm(y(0))))
/// ```
///
/// where `y` of the bottom is its `x`; the blocks are residual with group normalisation and ReLU,
/// the up-sampling is trilinear ([`upsample_trilinear`]). Created by [`SegResNetConfig::init`],
/// used through [`Segmenter`].
///
/// Sizes are multiples of `2^(levels - 1)`, 8 for the published network. A single voxel at the
/// bottom is accepted: a group has several channels there. The paper's variational autoencoder,
/// a branch for training alone, is absent, as in MONAI's class of this name. Dropout is the only
/// difference between training and inference.
#[derive(Module, Debug)]
pub struct SegResNet {
    first: Conv3d,
    dropout: ChannelDropout,
    down: Vec<DownLevel>,
    /// From the bottom.
    up: Vec<UpLevel>,
    norm: GroupNorm,
    head: Conv3d,
    #[module(skip)]
    config: SegResNetConfig,
}

#[derive(Module, Debug)]
struct DownLevel {
    pre: Option<Conv3d>,
    blocks: Vec<ResBlock>,
}

#[derive(Module, Debug)]
struct UpLevel {
    reduce: Conv3d,
    blocks: Vec<ResBlock>,
}

impl SegResNet {
    /// Builds a validated configuration. The weights are drawn in the order of the forward pass.
    pub(super) fn new(config: SegResNetConfig, rng: &mut WeightRng, device: &Device) -> Self {
        let blocks = |level, count, rng: &mut WeightRng| {
            let channels = config.channels(level);
            let block = |_| ResBlock::new(channels, config.groups, rng, device);
            (0..count).map(block).collect()
        };
        let first = config.first().init(rng, device);
        let dropout = ChannelDropout::new(config.dropout, rng);
        let down = config.blocks_down.iter().enumerate();
        let down = down.map(|(level, &count)| DownLevel {
            pre: config.pre(level).map(|conv| conv.init(rng, device)),
            blocks: blocks(level, count, rng),
        });
        let down = down.collect();
        let up = config.decoder().map(|(level, count)| UpLevel {
            reduce: config.reduce(level).init(rng, device),
            blocks: blocks(level, count, rng),
        });
        let up = up.collect();
        Self {
            first,
            dropout,
            down,
            up,
            norm: group_norm(config.width, config.groups, device),
            head: config.head().init(rng, device),
            config,
        }
    }

    /// The configuration that the network was created from.
    pub fn config(&self) -> &SegResNetConfig {
        &self.config
    }
}

impl Segmenter for SegResNet {
    fn draws_in_training(&self) -> bool {
        self.config.dropout > 0.0
    }

    fn forward(&self, x: Tensor<5>) -> Tensor<5> {
        let run = |blocks: &[ResBlock], x| blocks.iter().fold(x, |x, block| block.forward(x));
        let mut x = self.dropout.forward(self.first.forward(x));
        let mut skips = Vec::with_capacity(self.up.len());
        for level in &self.down {
            if let Some(pre) = &level.pre {
                skips.push(x.clone());
                x = pre.forward(x);
            }
            x = run(&level.blocks, x);
        }
        for (level, skip) in self.up.iter().zip(skips.into_iter().rev()) {
            x = upsample_trilinear(level.reduce.forward(x)) + skip;
            x = run(&level.blocks, x);
        }
        self.head.forward(group_norm_relu(&self.norm, x))
    }

    fn in_channels(&self) -> usize {
        self.config.in_channels
    }

    fn classes(&self) -> usize {
        self.config.out_channels
    }

    fn size_multiple(&self) -> [usize; 3] {
        [1 << self.up.len(); 3]
    }

    fn flops(&self, sizes: [usize; 3]) -> u64 {
        let at = |level: usize| sizes.map(|n| n >> level);
        let sum = |blocks: &[ResBlock], sizes| blocks.iter().map(|b| b.flops(sizes)).sum::<u64>();
        let down = self.down.iter().enumerate().map(|(level, down)| {
            // Its input has the size of the level above.
            let pre = down.pre.as_ref();
            let pre = pre.map_or(0, |conv| conv.spec().flops(at(level.saturating_sub(1))));
            pre + sum(&down.blocks, at(level))
        });
        let up =
            self.up.iter().rev().enumerate().map(|(level, up)| {
                up.reduce.spec().flops(at(level + 1)) + sum(&up.blocks, at(level))
            });
        let ends = self.first.spec().flops(sizes) + self.head.spec().flops(sizes);
        down.chain(up).fold(ends, |sum, flops| sum + flops)
    }

    fn check_input(&self, shape: &[usize; 5]) -> Result<(), ModelError> {
        check_multiples(self, shape)
    }
}

impl NamedParameters for SegResNet {
    fn parameter_name(&self, path: &[String]) -> String {
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        match path.as_slice() {
            ["first", rest @ ..] => format!("convInit.conv.{}", leaf(rest)),
            ["down", level, "pre", rest @ ..] => {
                format!("down_layers.{level}.0.conv.{}", leaf(rest))
            }
            // The convolution, or an identity, is the first of the sequence.
            ["down", level, "blocks", index, rest @ ..] => {
                let index = index.parse().map_or(0, |index: usize| index + 1);
                format!("down_layers.{level}.{index}.{}", leaf(rest))
            }
            ["up", level, "reduce", rest @ ..] => {
                format!("up_samples.{level}.0.conv.{}", leaf(rest))
            }
            ["up", level, "blocks", index, rest @ ..] => {
                format!("up_layers.{level}.{index}.{}", leaf(rest))
            }
            ["norm", rest @ ..] => format!("conv_final.0.{}", leaf(rest)),
            ["head", rest @ ..] => format!("conv_final.2.conv.{}", leaf(rest)),
            other => other.join("."),
        }
    }
}

fn leaf(path: &[&str]) -> String {
    match path {
        [norm, "gamma"] => format!("{norm}.weight"),
        [norm, "beta"] => format!("{norm}.bias"),
        ["gamma"] => "weight".to_string(),
        ["beta"] => "bias".to_string(),
        [conv, leaf] => format!("{conv}.conv.{leaf}"),
        other => other.join("."),
    }
}
