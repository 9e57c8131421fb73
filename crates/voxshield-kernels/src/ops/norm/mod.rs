//! Instance normalisation and the activation after it.

pub mod composition;
#[cfg(feature = "fusion")]
mod fusion;

use burn::backend::{Backend, backend_extension, tensor::FloatTensor};

/// Instance normalisation with a weight and a bias for each channel, then a leaky ReLU, in one
/// operation that keeps its input and two numbers a sample and channel for the way back.
///
/// The default bodies compose plain tensor operations; Flex and CubeCL run them where they have no kernel.
#[backend_extension(
    Flex: cfg(feature = "flex"),
    Cube: cfg(feature = "cube"),
    Fusion: cfg(feature = "fusion"),
    Autodiff
)]
pub trait NormOps: Backend {
    /// `y = act(weight_c * (x - mean_{b,c}) * r_{b,c} + bias_c)` with
    /// `r = 1 / sqrt(var + epsilon)`, mean and biased variance over the voxels, and
    /// `act(z) = z` for `z > 0`, `slope * z` otherwise.
    ///
    /// # Shapes
    /// - `x`: `[batch, channel, depth, height, width]`, no axis empty
    /// - `weight`, `bias`: `[channel]`, of the type of `x`
    /// - output: `y` like `x`, and the statistics `[2, batch, channel]` in `f32`: the means, then `r`. Under
    ///   autodiff the gradient flows through `y` alone
    #[fusion(meta = fusion::forward)]
    fn instance_norm_act(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        epsilon: f64,
        slope: f64,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        composition::instance_norm_act::<Self>(x, weight, bias, epsilon, slope)
    }

    /// The gradients of `sum(gradient * y)` with respect to `x`, `weight` and `bias`.
    ///
    /// With `n` voxels in a map, `h = (x - mean) r` and `g = gradient * act'`:
    /// `bias' = sum_{b,v} g`, `weight' = sum_{b,v} g h`,
    /// `x' = weight r (g - sum_v g / n - h sum_v g h / n)`. `act'` at 0 is `slope`.
    ///
    /// # Shapes
    /// - `x`, `weight`, `bias`, `statistics`: of the forward operation
    /// - `gradient`: like `x`
    /// - output: like `x`, `weight` and `bias`
    #[fusion(meta = fusion::backward)]
    fn instance_norm_act_backward(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        statistics: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        slope: f64,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        composition::instance_norm_act_backward::<Self>(
            x, weight, bias, statistics, gradient, slope,
        )
    }
}
