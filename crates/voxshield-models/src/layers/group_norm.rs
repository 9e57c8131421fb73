use burn::nn::GroupNorm;
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};
use voxshield_kernels::{NormActivation, instance_norm_act};

use super::constant;
use crate::precision::{in_f32, like};

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

/// `norm`, then ReLU; `[batch, channel, depth, height, width]`, kept.
///
/// A group with all its voxels is to the statistics what a channel is to instance normalisation, whose
/// kernel passes over the volume twice; Burn's composition does it eight times.
pub(crate) fn group_norm_relu(norm: &GroupNorm, x: Tensor<5>) -> Tensor<5> {
    let shape @ [batch, channels, depth, height, width] = x.dims();
    let groups = norm.num_groups;
    let affine = norm.gamma.as_ref().zip(norm.beta.as_ref());
    let affine = affine.map(|(weight, bias)| [weight.val(), bias.val()]);
    let normalised = |x, affine, activation| {
        instance_norm_act(x, affine, norm.epsilon, activation)
            .expect("configurations are validated: the layer fits its input")
    };
    if groups == channels {
        let affine = affine.map(|affine| affine.map(|p| like(p, &x)));
        return normalised(x, affine, NormActivation::Relu);
    }
    in_f32(x, |x| {
        let x = x.reshape([batch, groups, channels / groups * depth, height, width]);
        let x = normalised(x, None, NormActivation::Identity).reshape(shape);
        relu(match affine {
            Some(affine) => {
                let [weight, bias] = affine.map(|p| p.reshape([1, channels, 1, 1, 1]));
                x * weight + bias
            }
            None => x,
        })
    })
}
