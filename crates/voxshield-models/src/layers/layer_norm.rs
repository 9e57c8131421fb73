use burn::nn::{LayerNorm, LayerNormConfig};
use burn::tensor::{Device, Tensor, module};

use super::constant;
use crate::precision::in_f32;

/// What is added to the variance, as in PyTorch.
const LAYER_NORM_EPSILON: f64 = 1e-5;

/// Layer normalisation over the last axis, `y = weight * (x - mean) / sqrt(var + 1e-5) + bias`,
/// with weight 1 and bias 0 at first.
pub(crate) fn layer_norm(channels: usize, device: &Device) -> LayerNorm {
    let mut norm = LayerNormConfig::new(channels)
        .with_epsilon(LAYER_NORM_EPSILON)
        .init(device);
    // Burn would create them at their first use.
    norm.gamma = constant([channels], 1.0, device);
    norm.beta = Some(constant([channels], 0.0, device));
    norm
}

/// Layer normalisation over the last axis without weight and bias; `[.., channel]`, kept.
pub(crate) fn plain_layer_norm<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    let ones = Tensor::ones([x.dims()[D - 1]], &x.device());
    in_f32(x, |x| module::layer_norm(x, ones, None, LAYER_NORM_EPSILON))
}
