//! A factor for gradients alone.

use burn::backend::{Backend, backend_extension, tensor::FloatTensor};

/// The identity, with a factor for the gradient on its way back: what keeps gradients within the
/// range of `f16`.
#[backend_extension(
    Flex: cfg(feature = "flex"),
    Cube: cfg(feature = "cube"),
    Fusion: cfg(feature = "fusion"),
    Autodiff
)]
pub trait GradientScaleOps: Backend {
    /// `x`; a gradient `g` of the output becomes `factor g`.
    #[fusion(default)]
    fn scale_gradient(x: FloatTensor<Self>, factor: f64) -> FloatTensor<Self> {
        // Without autodiff there is no gradient.
        let _ = factor;
        x
    }
}
