//! The backend extensions and their default bodies.

pub mod adam;
pub mod burn_convolution;
pub mod composition;
mod convolution;
mod dft;
pub mod divergence;
mod gradient_scale;
pub mod norm;
pub mod overlap;

pub use adam::{AdamOps, AdamStep};
pub use convolution::{Bias, ConvGeometry, ConvOps};

#[cfg(any(feature = "flex", feature = "cube"))]
pub(crate) use dft::column_weight;
pub use divergence::DivergenceOps;
pub use gradient_scale::GradientScaleOps;
pub use norm::NormOps;
pub use overlap::OverlapOps;

use burn::backend::{Backend, backend_extension, tensor::FloatTensor};
#[cfg(feature = "fusion")]
use burn::tensor::Shape;

/// Added under the square root of a slice distance, so that its gradient is finite at 0.
pub const DISTANCE_EPSILON: f64 = 1e-10;

/// Spectral operations over the slices of a volume.
///
/// The default bodies compose plain tensor operations (a DFT by matrix products, so every height
/// and width works); Flex and CubeCL, the backends that are registered, override them where they know better.
#[backend_extension(
    Flex: cfg(feature = "flex"),
    Cube: cfg(feature = "cube"),
    Fusion: cfg(feature = "fusion"),
    Autodiff
)]
pub trait SpectralOps: Backend {
    /// Distances between the amplitude spectra of adjacent slices,
    /// `d_z = sqrt(sum_{h,w} (|F x_{z+1}| - |F x_z|)^2 + 1e-10)` with the unnormalised forward DFT `F`.
    ///
    /// # Shapes
    /// - `x`: `[batch, channel, depth, height, width]`, `f32`, depth at least 2
    /// - output: `[batch, channel, depth - 1]`
    #[fusion(dtype = x, shape = Shape::from([x[0], x[1], x[2] - 1]))]
    fn slice_distances(x: FloatTensor<Self>) -> FloatTensor<Self> {
        composition::slice_distances::<Self>(x)
    }

    /// The gradient of `sum(gradient * slice_distances(x))` with respect to `x`.
    ///
    /// # Shapes
    /// - `x`: `[batch, channel, depth, height, width]`
    /// - `distances` (the forward output) and `gradient`: `[batch, channel, depth - 1]`
    /// - output: like `x`
    #[fusion(dtype = x, shape = x)]
    fn slice_distances_backward(
        x: FloatTensor<Self>,
        distances: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        composition::slice_distances_backward::<Self>(x, distances, gradient)
    }
}
