use std::fmt;

use burn::tensor::{Int, Tensor};
use voxshield_kernels::DiceCe;
use voxshield_models::Network;

use crate::{Batch, PerturbError};

/// What a criterion sees of a perturbed batch.
#[derive(Debug)]
pub struct Seen<'a> {
    /// The target network: frozen, gradients flow to its input only.
    pub network: &'a dyn Network,
    /// Its place among the targets, from 0.
    pub member: usize,
    /// The perturbed volume, 0..1, with gradients; `[batch, channel, depth, height, width]`.
    pub volume: Tensor<5>,
    /// `[batch, depth, height, width]`.
    pub labels: Tensor<4, Int>,
}

/// What sample-wise descent minimises. Implement it to add your own, see [`Pgd::with_criterion`](crate::Pgd::with_criterion). It is
/// [`Send`], so that a run can go to a thread of its own.
pub trait Criterion: Send {
    /// A short name for progress and records.
    fn name(&self) -> &'static str;

    /// The value to minimise, shape `[1]`.
    ///
    /// # Errors
    /// What the operations inside refuse; [`PerturbError::Other`] is for errors of your own.
    fn value(&self, seen: &Seen<'_>) -> Result<Tensor<1>, PerturbError>;

    /// Whether the criterion has to see all cases, clean, before the first step.
    fn needs_survey(&self) -> bool {
        false
    }

    /// Looks at clean patches through one of the targets, without gradients.
    fn survey(&mut self, member: usize, network: &dyn Network, batch: &Batch) {
        let _ = (member, network, batch);
    }
}

impl fmt::Debug for dyn Criterion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// `DiceCE(F(u), y)`: the perturbed volume becomes easy (EMN, arXiv 2101.04898).
#[derive(Debug, Default)]
pub(super) struct ErrorMinimising(DiceCe);

impl Criterion for ErrorMinimising {
    fn name(&self) -> &'static str {
        "dice_ce"
    }

    fn value(&self, seen: &Seen<'_>) -> Result<Tensor<1>, PerturbError> {
        let logits = seen.network.forward(seen.volume.clone());
        Ok(self.0.forward(logits, seen.labels.clone())?)
    }
}

/// `-DiceCE(F(u), y)`: the perturbed volume becomes hard (untargeted adversarial perturbation).
#[derive(Debug, Default)]
pub(super) struct Untargeted(DiceCe);

impl Criterion for Untargeted {
    fn name(&self) -> &'static str {
        "negative_dice_ce"
    }

    fn value(&self, seen: &Seen<'_>) -> Result<Tensor<1>, PerturbError> {
        let logits = seen.network.forward(seen.volume.clone());
        Ok(self.0.forward(logits, seen.labels.clone())?.neg())
    }
}
