use burn::nn::InstanceNorm;
use burn::tensor::{Device, Tensor};
use voxshield_kernels::{NormActivation, instance_norm_act};

use super::{ActivationLayer, constant};
use crate::precision::like;

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
    normalise_and_activate(x, None, None)
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

/// [`instance_norm`], or `affine` if there is one, then `activation`, in one operation; a PReLU,
/// whose slope is learned, is one of its own.
pub(crate) fn normalise_and_activate(
    x: Tensor<5>,
    affine: Option<&InstanceNorm>,
    activation: Option<&ActivationLayer>,
) -> Tensor<5> {
    let fused = match activation {
        Some(ActivationLayer::Relu(_)) => NormActivation::Relu,
        Some(ActivationLayer::LeakyRelu(layer)) => NormActivation::LeakyRelu {
            slope: layer.negative_slope,
        },
        Some(ActivationLayer::Prelu(_)) | None => NormActivation::Identity,
    };
    let epsilon = affine.map_or(INSTANCE_NORM_EPSILON, |norm| norm.epsilon);
    let affine = affine.and_then(|norm| {
        let (weight, bias) = norm.gamma.as_ref().zip(norm.beta.as_ref())?;
        Some([weight, bias].map(|parameter| like(parameter.val(), &x)))
    });
    let y = instance_norm_act(x, affine, epsilon, fused)
        .expect("configurations are validated: the layer fits its input");
    match activation {
        Some(layer @ ActivationLayer::Prelu(_)) => layer.forward(y),
        _ => y,
    }
}
