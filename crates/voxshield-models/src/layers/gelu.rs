use std::f64::consts::FRAC_1_SQRT_2;

use burn::tensor::Tensor;

/// The exact Gaussian error linear unit, `y = x (1 + erf(x / sqrt(2))) / 2`; the shape is kept.
///
/// Source: Hendrycks, Gimpel, arXiv 1606.08415; PyTorch's `GELU()`.
pub fn gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    // Composed, because the gradient of Burn's `gelu` is that of the tanh approximation on every
    // backend that has no kernel of its own for it, the GPUs among them.
    let cdf = (x.clone() * FRAC_1_SQRT_2).erf() * 0.5 + 0.5;
    x * cdf
}
