use serde::{Deserialize, Serialize};

use super::criterion::{ErrorMinimising, Untargeted};
use super::features::FeatureDistance;
use super::targeted::Targeted;
use super::{Criterion, Expectation, Scale, Sparsity};
use crate::PerturbError;

/// What makes one sample-wise method different from another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// What is minimised.
    pub objective: Objective,
    /// When the surrogate is trained.
    pub schedule: Schedule,
    /// Steps on each window of a case at each visit.
    pub steps: usize,
    /// How far a voxel moves in one step, as a share of epsilon.
    pub step_size: f64,
    /// Over what the gradient is averaged.
    pub expectation: Expectation,
    /// Which voxels may move; all of the support without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sparsity: Option<Sparsity>,
}

/// What is minimised through the targets, at the perturbed volume `u`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Objective {
    /// `DiceCE(F(u), y)`.
    ErrorMinimising,
    /// `DiceCE(F(u), y')` with a wrong label y' that stays about the labelled region.
    Targeted,
    /// `-DiceCE(F(u), y)`.
    Untargeted,
    /// The distance of each label's mean features to those of a wrong label.
    FeatureDistance,
}

/// When the surrogate is trained, and what the target of the descent is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Schedule {
    /// In each round surrogate steps on what is protected so far, then a visit to every case; the surrogate is the target.
    Alternating,
    /// All surrogate steps first, on clean cases, then all visits; the targets are the surrogate at the end of this many equal
    /// parts of its training.
    Pretrained {
        /// Rounds of surrogate steps, at least 1; [`SurrogateConfig::rounds`](crate::SurrogateConfig::rounds) are those of visits.
        rounds: usize,
        /// Parts, at least 1.
        checkpoints: usize,
    },
}

impl Schedule {
    /// The surrogate trained so far that the sources of adversarial methods ask for: until it does what it was trained for.
    pub(crate) fn pretrained(scale: Scale, checkpoints: usize) -> Self {
        Self::Pretrained {
            rounds: scale.pick(500, 48),
            checkpoints,
        }
    }

    /// Rounds of surrogate steps, for so many rounds of visits.
    pub(super) fn training_rounds(self, visits: usize) -> usize {
        match self {
            Self::Alternating => visits,
            Self::Pretrained { rounds, .. } => rounds,
        }
    }

    /// Whether the surrogate becomes a target at the end of this round of its training: part k of n ends with round
    /// `ceil(k rounds / n)`.
    pub(super) fn is_checkpoint(self, round: usize) -> bool {
        match self {
            Self::Alternating => false,
            Self::Pretrained {
                rounds,
                checkpoints,
            } => (1..=checkpoints).any(|part| (part * rounds).div_ceil(checkpoints) == round + 1),
        }
    }
}

impl Objective {
    /// The criterion for networks of `classes`, background included.
    pub fn criterion(self, classes: usize) -> Box<dyn Criterion> {
        match self {
            Self::ErrorMinimising => Box::new(ErrorMinimising::default()),
            Self::Targeted => Box::new(Targeted::new(classes)),
            Self::Untargeted => Box::new(Untargeted::default()),
            Self::FeatureDistance => Box::new(FeatureDistance::new(classes)),
        }
    }
}

impl Recipe {
    /// Checks every setting.
    ///
    /// # Errors
    /// [`PerturbError::Config`] naming the first that is out of range.
    pub fn validate(&self) -> Result<(), PerturbError> {
        let config = |what, expected: &str, found: String| PerturbError::Config {
            what,
            expected: expected.into(),
            found,
        };
        if self.steps == 0 {
            return Err(config("steps", "at least 1", "0".into()));
        }
        if !(self.step_size > 0.0 && self.step_size.is_finite()) {
            let found = self.step_size.to_string();
            return Err(config("step size", "a positive share of epsilon", found));
        }
        if let Schedule::Pretrained {
            rounds,
            checkpoints,
        } = self.schedule
            && (rounds == 0 || checkpoints == 0)
        {
            let what = "rounds and checkpoints of the surrogate's training";
            let found = format!("{rounds} and {checkpoints}");
            return Err(config(what, "at least 1 each", found));
        }
        if let Some(sparsity) = self.sparsity {
            sparsity.validate()?;
        }
        self.expectation.validate()
    }
}
