use burn::tensor::Tensor;

use crate::Conv3d;

/// Added to the standard deviation of a filter.
const EPSILON: f64 = 1e-5;
/// Far below any variance that counts next to [`EPSILON`]; the square root has a finite gradient
/// from here on, so a constant filter has a gradient as well.
const LEAST_VARIANCE: f64 = 1e-30;

/// `conv` with standardised weights: every filter `v` (the weights of one output channel) as
/// `(v - mean) / (std + 1e-5)`, `std` the population standard deviation (arXiv 1903.10520).
pub(super) fn standardised(conv: &Conv3d, x: Tensor<5>) -> Tensor<5> {
    let weight = conv.weight.val();
    let shape = weight.dims();
    let [filters, rest @ ..] = shape;
    let weight = weight.reshape([filters, rest.iter().product()]);
    let centred = weight.clone() - weight.mean_dim(1);
    let variance = centred.clone().square().mean_dim(1);
    let deviation = variance.clamp_min(LEAST_VARIANCE).sqrt();
    let weight = centred / (deviation + EPSILON);
    conv.forward_with(x, weight.reshape(shape))
}
