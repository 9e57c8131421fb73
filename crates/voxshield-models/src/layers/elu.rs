use burn::tensor::Tensor;

/// The exponential linear unit, `x` where `x > 0`, `exp(x) - 1` elsewhere (arXiv 1511.07289,
/// alpha 1).
///
/// The shape is kept.
pub fn elu(x: Tensor<5>) -> Tensor<5> {
    let positive = x.clone().greater_scalar(0.0);
    // Without this, the exponential of a large `x` is infinite, and its share of the gradient, 0
    // times infinity, is not a number. Burn's own `elu` is like that.
    let negative = x.clone().mask_fill(positive.clone(), 0.0);
    negative.exp().sub_scalar(1.0).mask_where(positive, x)
}
