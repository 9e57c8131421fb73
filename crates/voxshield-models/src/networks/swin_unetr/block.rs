use burn::module::Module;
use burn::nn::LayerNorm;
use burn::tensor::{Device, Tensor};

use super::windows::Windows;
use super::{SwinUnetrConfig, WindowAttention};
use crate::layers::{layer_norm, mlp_parameters, voxels};
use crate::precision::in_f32;
use crate::{Mlp, WeightRng};

/// Hidden features of the feed-forward parts for each channel.
const MLP_RATIO: usize = 4;

/// `x = x + attn(norm1(x))` in windows, then `y = x + mlp(norm2(x))`.
#[derive(Module, Debug)]
pub struct SwinBlock {
    /// Before the attention.
    pub norm1: LayerNorm,
    /// The attention.
    pub attn: WindowAttention,
    /// Before the feed-forward part.
    pub norm2: LayerNorm,
    /// The feed-forward part.
    pub mlp: Mlp,
    window_size: [usize; 3],
    shifted: bool,
}

impl SwinBlock {
    pub(super) fn new(
        config: &SwinUnetrConfig,
        stage: usize,
        shifted: bool,
        rng: &mut WeightRng,
        device: &Device,
    ) -> Self {
        let channels = config.channels(stage);
        Self {
            norm1: layer_norm(channels, device),
            attn: WindowAttention::new(config, stage, rng, device),
            norm2: layer_norm(channels, device),
            mlp: Mlp::new(channels, MLP_RATIO * channels, rng, device),
            window_size: config.window_size,
            shifted,
        }
    }

    /// `[batch, depth, height, width, channel]`, kept.
    pub fn forward(&self, x: Tensor<5>) -> Tensor<5> {
        let [_, d, h, w, _] = x.dims();
        let windows = Windows::new([d, h, w], self.window_size, self.shifted);
        let mask = windows.mask(&x.device());
        let mixed = windows.partition(in_f32(x.clone(), |x| self.norm1.forward(x)));
        let x = x + windows.merge(self.attn.forward(mixed, mask));
        x.clone() + self.mlp.forward(in_f32(x, |x| self.norm2.forward(x)))
    }

    /// Floating-point operations for one sample of `sizes` tokens.
    pub fn flops(&self, sizes: [usize; 3]) -> u64 {
        let windows = Windows::new(sizes, self.window_size, self.shifted);
        let tokens = windows.tokens() as u64;
        let count = voxels(windows.padded()) / tokens.max(1);
        self.attn.flops(count, tokens) + self.mlp.flops(voxels(sizes))
    }

    /// Parameters of [`SwinBlock::new`]; saturating.
    pub(super) fn parameter_count(config: &SwinUnetrConfig, stage: usize) -> u64 {
        let channels = config.channels(stage);
        mlp_parameters(channels, channels.saturating_mul(MLP_RATIO))
            .saturating_add(WindowAttention::parameter_count(config, stage))
            .saturating_add((channels as u64).saturating_mul(4))
    }
}
