use burn::backend::Dispatch;
use burn::tensor::{DType, FloatDType, Tensor};

use crate::ops::GradientScaleOps;

/// What gradients of `f16` tensors are multiplied by, a power of two: the loss's gradient with respect
/// to one of `n` voxels is of the order of `1 / n`, and `f16` has nothing below 6e-8.
pub const F16_GRADIENT_SCALE: f64 = 4096.0;

/// `x` as another floating-point type; the gradient comes back in the type of `x`.
///
/// Gradients of `f16` tensors are [`F16_GRADIENT_SCALE`] times their value from cast to cast, and
/// those of all others are themselves, so that nobody else has to know: neither optimiser nor loss.
/// Gradients that leave the range of `f16` all the same become infinite, not wrong.
///
/// # Shapes
/// - `x` and output: the same
pub fn cast<const D: usize>(x: Tensor<D>, dtype: impl Into<FloatDType>) -> Tensor<D> {
    let dtype: FloatDType = dtype.into();
    match (x.dtype() == DType::F16, dtype == FloatDType::F16) {
        (false, true) => scaled(x, F16_GRADIENT_SCALE.recip()).cast(dtype),
        (true, false) => scaled(x.cast(dtype), F16_GRADIENT_SCALE),
        _ => x.cast(dtype),
    }
}

fn scaled<const D: usize>(x: Tensor<D>, factor: f64) -> Tensor<D> {
    let x = <Dispatch as GradientScaleOps>::scale_gradient(x.into_dispatch(), factor);
    Tensor::from_dispatch(x)
}
