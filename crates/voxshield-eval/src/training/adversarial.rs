use voxshield_models::input_leaf;
use voxshield_perturb::Batch;

use super::{StepContext, TrainingDefence, TrainingDefenceEntry};
use crate::EvalError;
use crate::defences::{or_default, positive};

pub(super) const ENTRY: TrainingDefenceEntry = TrainingDefenceEntry {
    name: "adversarial-training",
    parameter: "radius in standard deviations",
    cheap: false,
    make: |radius| {
        Ok(Box::new(or_default(
            radius,
            AdversarialTraining::with_radius,
        )?))
    },
};

/// Adversarial training (A. Madry et al., arXiv 1706.06083): each step learns from
/// `x + rho` with `rho = argmax_{|rho| <= radius} loss(x + rho, y)`, found by projected sign ascent.
///
/// `rho <- clamp(rho + 2 radius / steps sign(grad), -radius, radius)`, from 0, through the frozen
/// victim. One step of training costs as much as `steps + 1`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdversarialTraining {
    radius: f64,
    steps: usize,
}

impl AdversarialTraining {
    /// The default's steps in a `radius` of your own, in the victim's intensities.
    ///
    /// # Errors
    /// As [`AdversarialTraining::new`].
    pub fn with_radius(radius: f64) -> Result<Self, EvalError> {
        Self::new(radius, Self::default().steps)
    }

    /// `radius` in the victim's intensities (standard deviations after a z-score). Default: 0.157,
    /// which is 4/255 of the mean -+ 5 deviations that the protection calls 0..1, in 3 steps.
    ///
    /// # Errors
    /// [`EvalError::Parameter`] if it is not a positive number, or for no steps.
    pub fn new(radius: f64, steps: usize) -> Result<Self, EvalError> {
        if steps == 0 {
            return Err(EvalError::Parameter {
                what: "steps of the adversarial training",
                expected: "at least 1",
                found: "0".into(),
            });
        }
        let radius = positive("radius of the adversarial training", radius)?;
        Ok(Self { radius, steps })
    }
}

impl Default for AdversarialTraining {
    fn default() -> Self {
        Self {
            radius: 0.157,
            steps: 3,
        }
    }
}

impl TrainingDefence for AdversarialTraining {
    fn name(&self) -> &'static str {
        ENTRY.name
    }

    fn batch(&self, batch: Batch, context: &StepContext<'_>) -> Result<Batch, EvalError> {
        let frozen = context.network.frozen();
        let step = 2.0 * self.radius / self.steps as f64;
        let mut rho = batch.image.zeros_like();
        for _ in 0..self.steps {
            let noisy = input_leaf(context.network, batch.image.clone() + rho.clone());
            let logits = frozen.forward(noisy.clone());
            let loss = context.criterion.forward(logits, batch.labels.clone())?;
            if let Some(gradient) = noisy.grad(&loss.backward()) {
                rho = (rho + gradient.sign() * step).clamp(-self.radius, self.radius);
            }
        }
        Ok(Batch {
            image: batch.image + rho,
            ..batch
        })
    }
}
