//! The mean absolute difference of two tensors.

pub mod composition;

use burn::backend::{Backend, backend_extension, tensor::FloatTensor};
#[cfg(feature = "fusion")]
use burn::tensor::Shape;

/// The mean absolute difference, in one pass each way and without a tensor of differences.
///
/// The default bodies compose plain tensor operations; Flex and CubeCL run them where they have no kernel.
#[backend_extension(
    Flex: cfg(feature = "flex"),
    Cube: cfg(feature = "cube"),
    Fusion: cfg(feature = "fusion"),
    Autodiff
)]
pub trait DivergenceOps: Backend {
    /// `mean |a - b|` over all elements.
    ///
    /// # Shapes
    /// - `a`, `b`: the same
    /// - output: `[1]`
    #[fusion(dtype = a, shape = Shape::from([1]))]
    fn mean_distance(a: FloatTensor<Self>, b: FloatTensor<Self>) -> FloatTensor<Self> {
        composition::mean_distance::<Self>(a, b)
    }

    /// The gradient of `gradient * mean_distance(a, b)` with respect to `a`,
    /// `gradient sign(a - b) / n`; that of `b` is its negative.
    ///
    /// # Shapes
    /// - `a`, `b`: of the forward operation
    /// - `gradient`: `[1]`
    /// - output: like `a`
    #[fusion(dtype = a, shape = a)]
    fn mean_distance_backward(
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        composition::mean_distance_backward::<Self>(a, b, gradient)
    }
}
