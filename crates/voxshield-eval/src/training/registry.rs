use std::fmt::Debug;

use burn::tensor::Device;
use voxshield_kernels::DiceCe;
use voxshield_models::Network;
use voxshield_perturb::{Batch, SourceError, TrainingVolume};

use super::{AdversarialTraining, CleanMix, CleanOnly, FineTune, OrthogonalProjection, UEraser};
use crate::EvalError;

/// The volumes of a training set, one after the other.
pub type Volumes<'a> = dyn Iterator<Item = Result<TrainingVolume, SourceError>> + 'a;

/// What an unauthorised user does while training. Every part has a default that does nothing.
pub trait TrainingDefence: Debug + Send + Sync {
    /// Its name, in kebab case.
    fn name(&self) -> &'static str;

    /// Whether a victim costs little more than without it.
    fn cheap(&self) -> bool {
        true
    }

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
}

/// All training-side defences, with their default strength.
pub fn training_defences() -> Vec<Box<dyn TrainingDefence>> {
    vec![
        Box::new(CleanMix::default()),
        Box::new(CleanOnly::default()),
        Box::new(FineTune::default()),
        Box::new(OrthogonalProjection),
        Box::new(AdversarialTraining::default()),
        Box::new(UEraser::default()),
    ]
}

/// The names of all training-side defences, in the order of [`training_defences`].
pub fn names() -> Vec<&'static str> {
    training_defences().iter().map(|d| d.name()).collect()
}

/// The defence called `name`. Those that take clean cases accept `NAME:SHARE`, such as
/// `clean-mix:0.05`, and `adversarial-training:RADIUS` its radius in standard deviations. `None` if there is none of that name.
///
/// # Errors
/// [`EvalError::Parameter`] for a share that is not above 0 and below 1, or a radius that is not positive.
pub fn find(name: &str) -> Result<Option<Box<dyn TrainingDefence>>, EvalError> {
    if let Some((family, value)) = name.split_once(':') {
        // What is no number is refused by the constructors.
        let value = value.parse().unwrap_or(f64::NAN);
        return Ok(match family {
            "clean-mix" => Some(Box::new(CleanMix::new(value)?)),
            "clean-only" => Some(Box::new(CleanOnly::new(value)?)),
            "fine-tune" => Some(Box::new(FineTune::new(value)?)),
            "adversarial-training" => Some(Box::new(AdversarialTraining::with_radius(value)?)),
            _ => None,
        });
    }
    Ok(training_defences().into_iter().find(|d| d.name() == name))
}
