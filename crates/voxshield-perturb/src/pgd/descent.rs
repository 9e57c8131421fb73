use burn::tensor::Tensor;

use crate::{Batch, Budget, PerturbError};

/// Projected descent on the sign of a gradient, the step rule of PGD (arXiv 1706.06083) and EMN (arXiv 2101.04898):
/// `delta <- clamp(delta - step sign(g), -epsilon, epsilon)`, with `g` the gradient with respect to
/// `u = clamp(x + support delta, 0, 1)`.
///
/// The gradient is taken with respect to the clamped volume, as in EMN's reference: a voxel at a bound of the intensities still
/// moves. Where the support is 0, delta stays.
#[derive(Debug, Clone, PartialEq)]
pub struct SignDescent {
    /// The bound.
    pub budget: Budget,
    /// How far a voxel moves in one step, in normalised units.
    pub step_size: f64,
    /// Steps.
    pub steps: usize,
}

/// A criterion at one volume.
#[derive(Debug, Clone)]
pub struct Estimate {
    /// Its value, `[1]`, without gradients and still on the device.
    pub value: Tensor<1>,
    /// Its gradient with respect to the volume, `[batch, channel, depth, height, width]`.
    pub gradient: Tensor<5>,
}

impl SignDescent {
    /// Moves `delta` (`[batch, channel, depth, height, width]`, before the support, no gradients), and returns it with the
    /// criterion before each step.
    ///
    /// `free`, `[batch, 1, depth, height, width]` of 0 and 1, says which voxels may move; all of them without it.
    ///
    /// # Errors
    /// What `estimate` reports.
    pub fn run(
        &self,
        batch: &Batch,
        delta: Tensor<5>,
        free: Option<Tensor<5>>,
        estimate: &mut dyn FnMut(Tensor<5>) -> Result<Estimate, PerturbError>,
    ) -> Result<(Tensor<5>, Vec<Tensor<1>>), PerturbError> {
        let epsilon = self.budget.epsilon();
        let free = match free {
            Some(free) => batch.support.clone().sign() * free,
            None => batch.support.clone().sign(),
        };
        let (mut delta, mut values) = (delta, Vec::with_capacity(self.steps));
        for _ in 0..self.steps {
            let Estimate { value, gradient } = estimate(self.protected(batch, delta.clone()))?;
            let step = gradient.sign() * free.clone() * self.step_size;
            delta = (delta - step).clamp(-epsilon, epsilon);
            values.push(value);
        }
        Ok((delta, values))
    }

    /// What a network sees of a batch that is perturbed by `delta`.
    pub(crate) fn protected(&self, batch: &Batch, delta: Tensor<5>) -> Tensor<5> {
        let delta = self.budget.project(delta, &batch.support);
        self.budget.protect(batch.image.clone(), delta)
    }
}
