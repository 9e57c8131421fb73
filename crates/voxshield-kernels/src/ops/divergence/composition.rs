//! The default bodies.

use burn::backend::{Backend, TensorMetadata, tensor::FloatTensor};
use burn::tensor::Shape;

/// See [`DivergenceOps::mean_distance`](super::DivergenceOps::mean_distance).
pub fn mean_distance<B: Backend>(a: FloatTensor<B>, b: FloatTensor<B>) -> FloatTensor<B> {
    B::float_mean(B::float_abs(B::float_sub(a, b)))
}

/// See [`DivergenceOps::mean_distance_backward`](super::DivergenceOps::mean_distance_backward).
pub fn mean_distance_backward<B: Backend>(
    a: FloatTensor<B>,
    b: FloatTensor<B>,
    gradient: FloatTensor<B>,
) -> FloatTensor<B> {
    let shape = a.shape();
    let share = 1.0 / shape.num_elements() as f64;
    let share = B::float_mul_scalar(gradient, share.into());
    let share = B::float_reshape(share, Shape::from(vec![1; shape.num_dims()]));
    B::float_mul(B::float_sign(B::float_sub(a, b)), share)
}
