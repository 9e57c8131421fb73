use std::fmt::Debug;

use burn::tensor::Device;
use voxshield_kernels::DiceCe;
use voxshield_models::Network;
use voxshield_perturb::{Batch, SourceError, TrainingVolume};

use super::{CleanMix, CleanOnly, FineTune, adversarial, orthogonal, ueraser};
use crate::defences::number;
use crate::{EvalError, Preprocessing};

/// The volumes of a training set, one after the other.
pub type Volumes<'a> = dyn Iterator<Item = Result<TrainingVolume, SourceError>> + 'a;

/// What an unauthorised user does while training. Every part has a default that does nothing.
pub trait TrainingDefence: Debug + Send + Sync {
    /// Its name, in kebab case.
    fn name(&self) -> &'static str;

    /// Which clean cases it uses, and how.
    fn clean_cases(&self) -> CleanCases {
        CleanCases::None
    }

    /// A filter for the training volumes, fitted on them before the training; they are preprocessed as
    /// the victim sees them, and read as they are asked for.
    ///
    /// # Errors
    /// [`EvalError::Patches`] if a case cannot be read.
    fn fit(
        &self,
        volumes: &mut Volumes<'_>,
        seed: u64,
    ) -> Result<Option<Box<dyn VolumeFilter>>, EvalError> {
        let _ = (volumes, seed);
        Ok(None)
    }

    /// What a step learns from instead of `batch`. The inner device's tensors come and go.
    ///
    /// # Errors
    /// [`EvalError`] of the network or the loss.
    fn batch(&self, batch: Batch, context: &StepContext<'_>) -> Result<Batch, EvalError> {
        let _ = context;
        Ok(batch)
    }
}

/// How clean cases come into a training. Shares are of the cases of the training set.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum CleanCases {
    /// There are none.
    None,
    /// This share of the cases is clean, the others are protected.
    Mixed(f64),
    /// This share of the cases, clean, and nothing else: what they teach without the protected ones.
    Only(f64),
    /// This share of the cases, clean, for as many steps as follow on the protected ones.
    Before(f64),
}

impl CleanCases {
    /// The share of the cases that is needed clean.
    pub fn share(self) -> f64 {
        match self {
            Self::None => 0.0,
            Self::Mixed(share) | Self::Only(share) | Self::Before(share) => share,
        }
    }
}

/// A transform of preprocessed training volumes.
pub trait VolumeFilter: Debug + Send + Sync {
    /// Transforms `[channel, depth, height, width]` in place; `shape` is `[depth, height, width]`.
    fn apply(&self, image: &mut [f32], shape: [usize; 3]);
}

/// A step of a victim's training.
#[derive(Clone, Copy)]
pub struct StepContext<'a> {
    /// The victim before the step, on an autodiff device.
    pub network: &'a dyn Network,
    /// The loss's criterion.
    pub criterion: &'a DiceCe,
    /// The inner device.
    pub device: &'a Device,
    /// The step, from 0.
    pub step: usize,
    /// Steps in all.
    pub steps: usize,
    /// A seed for this step alone.
    pub seed: u64,
    /// What the intensities of the batch are.
    pub preprocessing: Preprocessing,
}

/// What the registry knows of a training-side defence.
#[derive(Debug, Clone, Copy)]
pub struct TrainingDefenceEntry {
    /// Its name.
    pub name: &'static str,
    /// What the number after the colon means, for help texts; empty if there is none.
    pub parameter: &'static str,
    /// Whether a victim costs little more than without it, so that the group `cheap` has it.
    pub cheap: bool,
    pub(super) make: Make,
}

/// Makes a defence of a strength, or of the default one.
pub(super) type Make = fn(Option<f64>) -> Result<Box<dyn TrainingDefence>, EvalError>;

/// All training-side defences.
pub const TRAINING_DEFENCES: &[TrainingDefenceEntry] = &[
    CleanMix::ENTRY,
    CleanOnly::ENTRY,
    FineTune::ENTRY,
    orthogonal::ENTRY,
    adversarial::ENTRY,
    ueraser::ENTRY,
];

/// The names of all training-side defences, in the order of [`TRAINING_DEFENCES`].
pub fn names() -> Vec<&'static str> {
    TRAINING_DEFENCES.iter().map(|entry| entry.name).collect()
}

/// The defence of a specification: `name` (default strength) or `name:strength`, such as `clean-mix:0.05`; what the number means is
/// [`TrainingDefenceEntry::parameter`]. `None` if there is none of that name.
///
/// # Errors
/// [`EvalError::Parameter`] for a strength that is no number or out of range, or of a defence that has none.
pub fn find(spec: &str) -> Result<Option<Box<dyn TrainingDefence>>, EvalError> {
    let (name, strength) = match spec.split_once(':') {
        Some((name, text)) => (name, Some(text)),
        None => (spec, None),
    };
    let Some(entry) = TRAINING_DEFENCES.iter().find(|entry| entry.name == name) else {
        return Ok(None);
    };
    (entry.make)(strength.map(number).transpose()?).map(Some)
}
