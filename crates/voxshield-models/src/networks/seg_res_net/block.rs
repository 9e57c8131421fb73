use burn::module::Module;
use burn::nn::GroupNorm;
use burn::tensor::{Device, Tensor};

use crate::layers::{group_norm, group_norm_relu};
use crate::{Conv3d, ConvSpec, WeightRng};

/// 3x3x3 without bias.
pub(super) fn conv(channels: [usize; 2]) -> ConvSpec {
    ConvSpec::new(channels, 3).without_bias()
}

/// A pre-activated residual block, `x + conv2(relu(norm2(conv1(relu(norm1(x))))))`.
#[derive(Module, Debug)]
pub(super) struct ResBlock {
    norm1: GroupNorm,
    norm2: GroupNorm,
    conv1: Conv3d,
    conv2: Conv3d,
}

impl ResBlock {
    pub(super) fn new(
        channels: usize,
        groups: usize,
        rng: &mut WeightRng,
        device: &Device,
    ) -> Self {
        let [norm1, norm2] = [(); 2].map(|()| group_norm(channels, groups, device));
        let [conv1, conv2] = [(); 2].map(|()| conv([channels; 2]).init(rng, device));
        Self {
            norm1,
            norm2,
            conv1,
            conv2,
        }
    }

    pub(super) fn forward(&self, x: Tensor<5>) -> Tensor<5> {
        let y = self.conv1.forward(group_norm_relu(&self.norm1, x.clone()));
        let y = self.conv2.forward(group_norm_relu(&self.norm2, y));
        x + y
    }

    pub(super) fn flops(&self, sizes: [usize; 3]) -> u64 {
        self.conv1.spec().flops(sizes) + self.conv2.spec().flops(sizes)
    }

    pub(super) fn parameter_count(channels: usize) -> u64 {
        let norm = (channels as u64).saturating_mul(2);
        let conv = conv([channels; 2]).parameter_count();
        conv.saturating_add(norm).saturating_mul(2)
    }
}
