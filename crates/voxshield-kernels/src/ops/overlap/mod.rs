//! What Dice and cross-entropy need to know of logits and labels.

pub mod composition;

use burn::backend::{
    Backend, backend_extension,
    tensor::{FloatTensor, IntTensor},
};
#[cfg(feature = "fusion")]
use burn::tensor::Shape;

/// The numbers that [`OverlapOps::overlap_sums`] gives a sample and class.
pub const OVERLAP_SUMS: usize = 4;

/// Sums over the voxels of a sample, from which [`DiceCe`](crate::DiceCe) is a formula of
/// `batch * class` numbers.
///
/// The default bodies compose plain tensor operations; Flex and CubeCL run them where they have no kernel.
#[backend_extension(
    Flex: cfg(feature = "flex"),
    Cube: cfg(feature = "cube"),
    Fusion: cfg(feature = "fusion"),
    Autodiff
)]
pub trait OverlapOps: Backend {
    /// With `p = softmax(logits)` over the classes and `t` the one-hot label, for each sample and
    /// class: `sum p t`, `sum p`, `sum t` and `-sum t log p` over the voxels.
    ///
    /// A label outside the classes has `t = 0` in all of them.
    ///
    /// # Shapes
    /// - `logits`: `[batch, class, depth, height, width]`, no axis empty
    /// - `labels`: `[batch, depth, height, width]`
    /// - output: `[batch, class, 4]`
    #[fusion(dtype = logits, shape = Shape::from([logits[0], logits[1], OVERLAP_SUMS]))]
    fn overlap_sums(logits: FloatTensor<Self>, labels: IntTensor<Self>) -> FloatTensor<Self> {
        composition::overlap_sums::<Self>(logits, labels)
    }

    /// The gradient of `sum(gradient * overlap_sums)` with respect to the logits.
    ///
    /// With the columns `i, u, _, n` of `gradient`, `a_c = u_c + i_c t_c` and `n_y` that of the
    /// voxel's label: `p_c (a_c - sum_k a_k p_k) + n_y (p_c - t_c)`.
    ///
    /// # Shapes
    /// - `logits`, `labels`: of the forward operation
    /// - `gradient`: `[batch, class, 4]`
    /// - output: like `logits`
    #[fusion(dtype = logits, shape = logits)]
    fn overlap_sums_backward(
        logits: FloatTensor<Self>,
        labels: IntTensor<Self>,
        gradient: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        composition::overlap_sums_backward::<Self>(logits, labels, gradient)
    }
}
