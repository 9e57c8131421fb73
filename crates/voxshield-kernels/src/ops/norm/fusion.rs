//! Shapes and types of the outputs, for kernel fusion: it plans ahead of the kernels.

use burn::backend::fusion::custom::TensorSpec;
use burn::tensor::{DType, Shape};

/// `y` like `x`, and the statistics, which are `f32` where `x` is a half.
pub(super) fn forward(
    x: &TensorSpec,
    _weight: &TensorSpec,
    _bias: &TensorSpec,
    _epsilon: &f64,
    _slope: &f64,
) -> (TensorSpec, TensorSpec) {
    let dtype = match x.dtype {
        DType::F16 | DType::BF16 => DType::F32,
        other => other,
    };
    let shape = Shape::from([2, x.shape[0], x.shape[1]]);
    (x.clone(), TensorSpec::new(shape, dtype))
}

/// The gradients of `x`, weight and bias.
pub(super) fn backward(
    x: &TensorSpec,
    weight: &TensorSpec,
    bias: &TensorSpec,
    _statistics: &TensorSpec,
    _gradient: &TensorSpec,
    _slope: &f64,
) -> (TensorSpec, TensorSpec, TensorSpec) {
    (x.clone(), weight.clone(), bias.clone())
}
