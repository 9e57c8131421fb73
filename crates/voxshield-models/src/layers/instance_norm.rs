use burn::nn::InstanceNorm;
use burn::tensor::{Device, Tensor};

use super::constant;

/// What is added to the variance, as in PyTorch.
pub const INSTANCE_NORM_EPSILON: f64 = 1e-5;

/// Instance normalisation without learned parameters,
/// `y = (x - mean) / sqrt(var + 1e-5)`, mean and biased variance over the voxels of each sample
/// and channel.
///
/// # Shapes
///
/// `[batch, channel, depth, height, width]`, kept.
///
/// A map of one voxel becomes 0; [`Segmenter::check_input`](crate::Segmenter::check_input) refuses
/// inputs that lead there.
pub fn instance_norm(x: Tensor<5>) -> Tensor<5> {
    // Burn's own composition: on flex its backward takes about half the time of one that
    // multiplies by the reciprocal standard deviation.
    let norm = InstanceNorm {
        gamma: None,
        beta: None,
        num_channels: x.dims()[1],
        epsilon: INSTANCE_NORM_EPSILON,
        affine: false,
    };
    norm.forward(x)
}

/// Instance normalisation with a learned weight and bias for each channel, 1 and 0 at first:
/// `y = weight * (x - mean) / sqrt(var + 1e-5) + bias`, mean and variance as in [`instance_norm`].
///
/// The layer maps `[batch, channels, depth, height, width]` to the same shape.
pub fn affine_instance_norm(channels: usize, device: &Device) -> InstanceNorm {
    InstanceNorm {
        gamma: Some(constant([channels], 1.0, device)),
        beta: Some(constant([channels], 0.0, device)),
        num_channels: channels,
        epsilon: INSTANCE_NORM_EPSILON,
        affine: true,
    }
}
