use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::config::STAGES;
use super::{SwinStage, SwinUnetrConfig};
use crate::layers::plain_layer_norm;
use crate::networks::unetr::{UnetrBlock, UnetrUpBlock, block_name, leaf_name, up_block_name};
use crate::{Conv3d, NamedParameters, Norm, Segmenter, WeightRng};

/// What MONAI calls [`SwinUnetr::encoders`].
const ENCODER_NAMES: [&str; 5] = ["encoder1", "encoder2", "encoder3", "encoder4", "encoder10"];

/// Swin UNETR, the structure and the parameter names of MONAI's `SwinUNETR`.
///
/// Tokens are cubes of 2^3 voxels. Four stages of transformer blocks, whose attention stays inside of
/// windows, each halve the resolution and double the channels. The tokens before the first stage and
/// after each stage are normalised over their channels and join the decoder of [`Unetr`](crate::Unetr).
///
/// Sizes have to be multiples of 32, and one of them larger. Created by [`SwinUnetrConfig::init`],
/// used through [`Segmenter`].
///
/// Source: Hatamizadeh et al., arXiv 2201.01266; windows: Liu et al., arXiv 2103.14030. Agrees with
/// MONAI 1.6.1 (default arguments: no dropout, normalised features, version 1). MONAI asks for
/// `feature_size` to be a multiple of 12; here it is enough that the heads divide the channels.
#[derive(Module, Debug)]
pub struct SwinUnetr {
    /// Kernel and stride 2: voxels to tokens.
    pub patch_embed: Conv3d,
    /// From the top.
    pub stages: [SwinStage; STAGES],
    /// On the input, on the tokens, and after the stages 1, 2 and 4.
    pub encoders: [UnetrBlock; 5],
    /// From the bottom.
    pub decoder: [UnetrUpBlock; 5],
    /// 1x1x1, with bias.
    pub out: Conv3d,
    #[module(skip)]
    config: SwinUnetrConfig,
}

impl SwinUnetr {
    /// Builds a validated configuration.
    pub(super) fn new(config: SwinUnetrConfig, rng: &mut WeightRng, device: &Device) -> Self {
        let norm = Norm::Instance;
        Self {
            patch_embed: config.embedding().init(rng, device),
            stages: std::array::from_fn(|stage| SwinStage::new(&config, stage, rng, device)),
            encoders: config
                .encoders()
                .map(|channels| UnetrBlock::new(channels, norm, rng, device)),
            decoder: config
                .decoder()
                .map(|channels| UnetrUpBlock::joining(channels, norm, rng, device)),
            out: config.out().init(rng, device),
            config,
        }
    }

    /// The configuration that the network was created from.
    pub fn config(&self) -> &SwinUnetrConfig {
        &self.config
    }

    /// `x`, then the normalised tokens at 1/2 to 1/32 of its resolution, channels first.
    fn features(&self, x: Tensor<5>) -> [Tensor<5>; STAGES + 2] {
        let normalised = |x: Tensor<5>| plain_layer_norm(x).permute([0, 4, 1, 2, 3]);
        let mut tokens = self.patch_embed.forward(x.clone()).permute([0, 2, 3, 4, 1]);
        let before = normalised(tokens.clone());
        let [first, second, third, fourth] = self.stages.each_ref().map(|stage| {
            tokens = stage.forward(tokens.clone());
            normalised(tokens.clone())
        });
        [x, before, first, second, third, fourth]
    }
}

impl Segmenter for SwinUnetr {
    fn forward(&self, x: Tensor<5>) -> Tensor<5> {
        let [x, tokens, first, second, third, fourth] = self.features(x);
        let [on_input, on_tokens, on_first, on_second, on_fourth] = &self.encoders;
        let skips = [
            third,
            on_second.forward(second),
            on_first.forward(first),
            on_tokens.forward(tokens),
            on_input.forward(x),
        ];
        let decoder = self.decoder.iter().zip(skips);
        let x = decoder.fold(on_fourth.forward(fourth), |x, (block, skip)| {
            block.forward(x, Some(skip))
        });
        self.out.forward(x)
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
        let embedding = self.patch_embed.spec();
        let tokens = embedding.output_sizes(sizes);
        let mut sum = embedding.flops(sizes) + self.out.spec().flops(sizes);
        let mut run = |(sizes, flops)| {
            sum += flops;
            sizes
        };
        let mut below = tokens;
        let [first, second, _, fourth] = self.stages.each_ref().map(|stage| {
            below = run(stage.cost(below));
            below
        });
        let inputs = [sizes, tokens, first, second, fourth];
        for (encoder, sizes) in self.encoders.iter().zip(inputs) {
            run((sizes, encoder.flops(sizes)));
        }
        let decoder = self.decoder.iter();
        decoder.fold(fourth, |sizes, block| run(block.cost(sizes)));
        sum
    }
}

impl NamedParameters for SwinUnetr {
    fn parameter_name(&self, path: &[String]) -> String {
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        let number = |index: &str| index.parse::<usize>().unwrap_or_default();
        match path.as_slice() {
            ["patch_embed", leaf] => format!("swinViT.patch_embed.proj.{leaf}"),
            ["stages", index, rest @ ..] => {
                format!("swinViT.layers{}.0.{}", number(index) + 1, leaf_name(rest))
            }
            ["encoders", index, rest @ ..] => {
                let encoder = ENCODER_NAMES.get(number(index)).unwrap_or(index);
                format!("{encoder}.layer.{}", block_name(rest))
            }
            ["decoder", index, rest @ ..] => {
                let index = 5usize.saturating_sub(number(index));
                format!("decoder{index}.{}", up_block_name(rest))
            }
            ["out", leaf] => format!("out.conv.conv.{leaf}"),
            other => leaf_name(other),
        }
    }

    /// Leaves out the tables of relative positions: they follow from the window's size.
    fn checkpoint_name(&self, stored: &str) -> Option<String> {
        (!stored.ends_with("relative_position_index")).then(|| stored.to_string())
    }
}
