//! One step of Adam for one tensor of weights.

pub mod composition;
#[cfg(feature = "fusion")]
mod fusion;

use burn::backend::{Backend, backend_extension, tensor::FloatTensor};

/// The settings and the time of one step of Adam.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamStep {
    /// Step size, positive.
    pub rate: f64,
    /// Decay of the first moment, in `[0, 1)`.
    pub beta_1: f64,
    /// Decay of the second moment, in `[0, 1)`.
    pub beta_2: f64,
    /// Added to the root of the second moment, positive.
    pub epsilon: f64,
    /// The L2 penalty, whose gradient `decay w` is added to the loss's; 0 for none.
    pub decay: f64,
    /// How many steps there will have been with this one, 1 for the first.
    pub time: usize,
}

impl AdamStep {
    /// `1 / (1 - beta^t)` of the first moment times the rate, and `sqrt(1 - beta^t)` of the second.
    ///
    /// In `f64`: in `f32`, `1 - 0.9999^t` is 3e-4 off after two steps.
    pub(crate) fn corrections(&self) -> [f64; 2] {
        let correction = |beta: f64| 1.0 - beta.powf(self.time as f64);
        [
            self.rate / correction(self.beta_1),
            correction(self.beta_2).sqrt(),
        ]
    }
}

/// Adam (arXiv 1412.6980) with an L2 penalty in the gradient, as `torch.optim.Adam` has it.
///
/// The default body composes plain tensor operations, some 15 passes over memory; a backend that
/// knows better makes one, and writes to the memory of weight and moments where nobody else holds
/// it.
#[backend_extension(
    Flex: cfg(feature = "flex"),
    Cube: cfg(feature = "cube"),
    Fusion: cfg(feature = "fusion"),
    Autodiff
)]
pub trait AdamOps: Backend {
    /// `g <- g + decay w`, `m <- b1 m + (1 - b1) g`, `v <- b2 v + (1 - b2) g^2`,
    /// `w <- w - rate (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + epsilon)`.
    ///
    /// # Shapes
    /// - `weight`, `gradient`, the first moment `m` and the second moment `v`: the same
    /// - outputs: weight and both moments after the step
    #[fusion(meta = fusion::step)]
    fn adam_step(
        weight: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        first: FloatTensor<Self>,
        second: FloatTensor<Self>,
        step: AdamStep,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        composition::adam_step::<Self>(weight, gradient, first, second, step)
    }
}
