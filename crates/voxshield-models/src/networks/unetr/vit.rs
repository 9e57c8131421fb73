//! The vision transformer.

use burn::module::{Module, Param};
use burn::nn::LayerNorm;
use burn::tensor::{Device, Tensor};

use super::UnetrConfig;
use super::config::TOKEN;
use crate::layers::{attention_flops, layer_norm, mlp_parameters, voxels};
use crate::precision::{in_f32, like};
use crate::{Conv3d, ConvSpec, Linear, LinearSpec, Mlp, WeightRng, multi_head_attention};

const BLOCKS: usize = 12;
/// The blocks, counted from 0, after which the tokens also go to the decoder.
const TAPPED: [usize; 3] = [3, 6, 9];
/// Standard deviation of the initial positions.
const POSITION_DEVIATION: f64 = 0.02;

/// Twelve transformer blocks on cubes of 16^3 voxels (MONAI's `ViT` with learned positions).
#[derive(Module, Debug)]
pub struct VisionTransformer {
    /// Kernel and stride 16: one token per cube, in C order.
    pub patch_embeddings: Conv3d,
    /// `[1, token, hidden]`, added to the tokens.
    pub position_embeddings: Param<Tensor<3>>,
    /// The blocks.
    pub blocks: Vec<TransformerBlock>,
    /// Of the last block's output.
    pub norm: LayerNorm,
}

impl VisionTransformer {
    pub(super) fn new(config: &UnetrConfig, rng: &mut WeightRng, device: &Device) -> Self {
        let hidden = config.hidden_size;
        let tokens = config.input_size.map(|size| size / TOKEN);
        let tokens = tokens.iter().product();
        Self {
            patch_embeddings: embedding(config).init(rng, device),
            position_embeddings: rng.normal([1, tokens, hidden], POSITION_DEVIATION, device),
            blocks: (0..BLOCKS)
                .map(|_| TransformerBlock::new(config, rng, device))
                .collect(),
            norm: layer_norm(hidden, device),
        }
    }

    /// `[batch, channel, depth, height, width]` to four maps
    /// `[batch, hidden, depth / 16, height / 16, width / 16]`: the tokens after the blocks 3, 6 and
    /// 9 (counted from 0), and the normalised ones after the last.
    pub fn forward(&self, x: Tensor<5>) -> [Tensor<5>; 4] {
        let x = self.patch_embeddings.forward(x);
        let [batch, hidden, d, h, w] = x.dims();
        let volume = |tokens: Tensor<3>| -> Tensor<5> {
            tokens.swap_dims(1, 2).reshape([batch, hidden, d, h, w])
        };
        let x: Tensor<3> = x.reshape([batch, hidden, d * h * w]).swap_dims(1, 2);
        let mut x = x.clone() + like(self.position_embeddings.val(), &x);
        let mut run = |blocks: std::ops::Range<usize>| {
            for block in &self.blocks[blocks] {
                x = block.forward(x.clone());
            }
            x.clone()
        };
        let [a, b, c] = TAPPED;
        let tapped = [run(0..a + 1), run(a + 1..b + 1), run(b + 1..c + 1)].map(volume);
        let last = volume(in_f32(run(c + 1..BLOCKS), |x| self.norm.forward(x)));
        let [third, sixth, ninth] = tapped;
        [third, sixth, ninth, last]
    }

    /// Floating-point operations for one sample of `sizes` voxels.
    pub fn flops(&self, sizes: [usize; 3]) -> u64 {
        let spec = self.patch_embeddings.spec();
        let tokens = voxels(spec.output_sizes(sizes));
        let blocks = self.blocks.iter().map(|block| block.flops(tokens));
        spec.flops(sizes) + blocks.sum::<u64>()
    }

    /// Parameters of the transformer of `config`; saturating.
    pub(super) fn parameter_count(config: &UnetrConfig) -> u64 {
        let tokens = voxels(config.input_size.map(|size| size / TOKEN));
        let block = TransformerBlock::parameter_count(config);
        [
            embedding(config).parameter_count(),
            tokens.saturating_mul(config.hidden_size as u64),
            block.saturating_mul(BLOCKS as u64),
            (config.hidden_size as u64).saturating_mul(2),
        ]
        .into_iter()
        .fold(0, u64::saturating_add)
    }
}

/// `x = x + attn(norm1(x))`, then `y = x + mlp(norm2(x))`.
#[derive(Module, Debug)]
pub struct TransformerBlock {
    /// The feed-forward part.
    pub mlp: Mlp,
    /// Before the attention.
    pub norm1: LayerNorm,
    /// The attention.
    pub attn: SelfAttention,
    /// Before the feed-forward part.
    pub norm2: LayerNorm,
    /// Not used: MONAI's block has it for a cross-attention that UNETR does not switch on, so its
    /// checkpoints have it too.
    pub norm_cross_attn: LayerNorm,
}

impl TransformerBlock {
    fn new(config: &UnetrConfig, rng: &mut WeightRng, device: &Device) -> Self {
        let norm = || layer_norm(config.hidden_size, device);
        Self {
            mlp: Mlp::new(config.hidden_size, config.mlp_dim, rng, device),
            norm1: norm(),
            attn: SelfAttention::new(config.hidden_size, config.num_heads, rng, device),
            norm2: norm(),
            norm_cross_attn: norm(),
        }
    }

    /// `[batch, token, hidden]`, kept.
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let x = x.clone() + self.attn.forward(in_f32(x, |x| self.norm1.forward(x)));
        x.clone() + self.mlp.forward(in_f32(x, |x| self.norm2.forward(x)))
    }

    fn flops(&self, tokens: u64) -> u64 {
        self.attn.flops(tokens) + self.mlp.flops(tokens)
    }

    fn parameter_count(config: &UnetrConfig) -> u64 {
        let [qkv, out_proj] = attention_specs(config.hidden_size);
        [
            mlp_parameters(config.hidden_size, config.mlp_dim),
            qkv.parameter_count(),
            out_proj.parameter_count(),
            (config.hidden_size as u64).saturating_mul(6),
        ]
        .into_iter()
        .fold(0, u64::saturating_add)
    }
}

/// Self-attention of all tokens of a sample (MONAI's `SABlock`); queries, keys and values without
/// bias.
#[derive(Module, Debug)]
pub struct SelfAttention {
    /// Of the joined heads.
    pub out_proj: Linear,
    /// Queries, keys and values.
    pub qkv: Linear,
    num_heads: usize,
}

impl SelfAttention {
    fn new(hidden: usize, num_heads: usize, rng: &mut WeightRng, device: &Device) -> Self {
        let [qkv, out_proj] = attention_specs(hidden);
        Self {
            out_proj: out_proj.init(rng, device),
            qkv: qkv.init(rng, device),
            num_heads,
        }
    }

    /// `[batch, token, hidden]`, kept.
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let mixed = multi_head_attention(self.qkv.forward(x), self.num_heads, |scores| scores);
        self.out_proj.forward(mixed)
    }

    fn flops(&self, tokens: u64) -> u64 {
        let [hidden, _] = self.out_proj.spec().channels();
        let linear = self.qkv.spec().flops(tokens) + self.out_proj.spec().flops(tokens);
        linear + attention_flops(tokens, hidden)
    }
}

/// Queries, keys and values in one, and the projection of the result.
fn attention_specs(hidden: usize) -> [LinearSpec; 2] {
    [
        LinearSpec::new([hidden, hidden.saturating_mul(3)]).without_bias(),
        LinearSpec::new([hidden; 2]),
    ]
}

fn embedding(config: &UnetrConfig) -> ConvSpec {
    ConvSpec::tiling([config.in_channels, config.hidden_size], [TOKEN; 3])
}
