use burn::module::Module;
use burn::nn::LayerNorm;
use burn::tensor::{Device, Int, Tensor};

use super::{SwinBlock, SwinUnetrConfig};
use crate::layers::{layer_norm, voxels};
use crate::precision::in_f32;
use crate::{Linear, LinearSpec, WeightRng};

/// Blocks, and the halving of the resolution after them.
#[derive(Module, Debug)]
pub struct SwinStage {
    /// Every second one shifts its windows, the first does not.
    pub blocks: Vec<SwinBlock>,
    /// The halving.
    pub downsample: PatchMerging,
}

impl SwinStage {
    pub(super) fn new(
        config: &SwinUnetrConfig,
        stage: usize,
        rng: &mut WeightRng,
        device: &Device,
    ) -> Self {
        Self {
            blocks: (0..config.depths[stage])
                .map(|index| SwinBlock::new(config, stage, index % 2 == 1, rng, device))
                .collect(),
            downsample: PatchMerging::new(config.channels(stage), rng, device),
        }
    }

    /// `[batch, depth, height, width, channel]` to
    /// `[batch, depth / 2, height / 2, width / 2, 2 * channel]`.
    pub fn forward(&self, x: Tensor<5>) -> Tensor<5> {
        let x = self.blocks.iter().fold(x, |x, block| block.forward(x));
        self.downsample.forward(x)
    }

    /// The sizes of the output and the floating-point operations, for `sizes` tokens.
    pub fn cost(&self, sizes: [usize; 3]) -> ([usize; 3], u64) {
        let blocks: u64 = self.blocks.iter().map(|block| block.flops(sizes)).sum();
        let halved = sizes.map(|size| size / 2);
        let merging = self.downsample.reduction.spec().flops(voxels(halved));
        (halved, blocks + merging)
    }

    /// Parameters of [`SwinStage::new`]; saturating.
    pub(super) fn parameter_count(config: &SwinUnetrConfig, stage: usize) -> u64 {
        let channels = config.channels(stage);
        let norm = (channels as u64).saturating_mul(16);
        SwinBlock::parameter_count(config, stage)
            .saturating_mul(config.depths[stage] as u64)
            .saturating_add(reduction(channels).parameter_count())
            .saturating_add(norm)
    }
}

/// Joins each cube of 2^3 tokens into one with twice the channels: concatenation, layer
/// normalisation, a linear layer without bias.
///
/// The order is that of MONAI's `PatchMerging`, `SwinUNETR`'s default; `PatchMergingV2` has another.
/// Older versions of MONAI took two of the eight tokens twice and left two out; 1.6.1, and so this
/// layer, takes each once. Weights that were trained with such a version have the same names and
/// shapes, so they load, but they belong to that other layer.
#[derive(Module, Debug)]
pub struct PatchMerging {
    /// Of the joined channels.
    pub norm: LayerNorm,
    /// To a quarter of them.
    pub reduction: Linear,
}

impl PatchMerging {
    fn new(channels: usize, rng: &mut WeightRng, device: &Device) -> Self {
        Self {
            norm: layer_norm(8 * channels, device),
            reduction: reduction(channels).init(rng, device),
        }
    }

    /// `[batch, depth, height, width, channel]`, even sizes, to
    /// `[batch, depth / 2, height / 2, width / 2, 2 * channel]`.
    pub fn forward(&self, x: Tensor<5>) -> Tensor<5> {
        /// The tokens of a cube, as `4 z + 2 y + x`, in the order of their channels.
        const ORDER: [i64; 8] = [0b000, 0b100, 0b010, 0b001, 0b110, 0b101, 0b011, 0b111];
        let [batch, d, h, w, channels] = x.dims();
        let [d, h, w] = [d / 2, h / 2, w / 2];
        let order = Tensor::<1, Int>::from_data(ORDER, &x.device());
        let x: Tensor<8> = x.reshape([batch, d, 2, h, 2, w, 2, channels]);
        let cubes: Tensor<6> = x
            .permute([0, 1, 3, 5, 2, 4, 6, 7])
            .reshape([batch, d, h, w, 8, channels]);
        let joined: Tensor<5> = cubes
            .select(4, order)
            .reshape([batch, d, h, w, 8 * channels]);
        self.reduction
            .forward(in_f32(joined, |joined| self.norm.forward(joined)))
    }
}

fn reduction(channels: usize) -> LinearSpec {
    let [input, output] = [8, 2].map(|factor: usize| channels.saturating_mul(factor));
    LinearSpec::new([input, output]).without_bias()
}
