use burn::nn::GroupNorm;
use burn::tensor::Device;

use super::constant;

/// What is added to the variance, as in PyTorch.
const EPSILON: f64 = 1e-5;

/// Group normalisation (arXiv 1803.08494) with one learned weight (1 at first) and bias (0 at
/// first) per channel: mean and biased variance over the channels of a group and their voxels.
///
/// `groups` divides `channels`.
pub(crate) fn group_norm(channels: usize, groups: usize, device: &Device) -> GroupNorm {
    // Built by hand: what Burn's configuration creates is lazy.
    GroupNorm {
        gamma: Some(constant([channels], 1.0, device)),
        beta: Some(constant([channels], 0.0, device)),
        num_groups: groups,
        num_channels: channels,
        epsilon: EPSILON,
        affine: true,
    }
}
