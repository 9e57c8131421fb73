use burn::tensor::{ElementConversion, Tensor};
use voxshield_kernels::DiceCe;
use voxshield_models::{Network, input_leaf};

use crate::{Batch, Budget, PerturbError};

/// Error-minimising noise (EMN, arXiv 2101.04898): projected descent on the sign of the gradient,
/// `delta <- clamp(delta - step sign(g), -epsilon, epsilon)`,
/// `g = d DiceCE(F(u), y) / d u` at `u = clamp(x + delta, 0, 1)`.
///
/// The gradient is taken with respect to the clamped volume, as in the reference: a voxel at a
/// bound of the intensities still moves. The surrogate is frozen and uses running statistics.
#[derive(Debug, Clone, PartialEq)]
pub struct SignDescent {
    /// The bound.
    pub budget: Budget,
    /// How far a voxel moves in one step, in normalised units; EMN uses epsilon / 8.
    pub step_size: f64,
    /// Steps.
    pub steps: usize,
}

impl SignDescent {
    /// Moves `delta` (`[batch, channel, depth, height, width]`, no gradients), and returns it with
    /// the loss at the last step before its update; 0 steps change nothing and have no loss.
    ///
    /// The batch's support is not used: EMN perturbs the whole volume.
    ///
    /// # Errors
    /// [`PerturbError::Kernel`] if labels and logits do not fit.
    pub fn run(
        &self,
        batch: &Batch,
        delta: Tensor<5>,
        surrogate: &dyn Network,
    ) -> Result<(Tensor<5>, Option<f32>), PerturbError> {
        let frozen = surrogate.frozen();
        let criterion = DiceCe::default();
        let (mut delta, mut last) = (delta, None);
        for _ in 0..self.steps {
            let noisy = self.budget.protect(batch.image.clone(), delta.clone());
            let noisy = input_leaf(surrogate, noisy);
            let logits = frozen.forward(noisy.clone());
            let loss = criterion.forward(logits, batch.labels.clone())?;
            if let Some(gradient) = noisy.grad(&loss.backward()) {
                let epsilon = self.budget.epsilon();
                delta = (delta - gradient.sign() * self.step_size).clamp(-epsilon, epsilon);
            }
            last = Some(loss.inner());
        }
        let last = last.map(|loss| loss.into_scalar::<f32>().elem());
        Ok((delta, last))
    }
}
