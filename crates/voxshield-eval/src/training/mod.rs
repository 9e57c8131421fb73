//! What an unauthorised user may do while training, to learn from protected files all the same.
//!
//! A defence is one file here, with its [`TrainingDefenceEntry`], and one line in [`TRAINING_DEFENCES`]; [`find`] makes one from
//! `name` or `name:strength`. The [`Purifier`] is not among them: it needs data of its own.

mod adversarial;
mod clean_cases;
mod orthogonal;
mod purifier;
mod registry;
mod ueraser;

pub use adversarial::AdversarialTraining;
pub use clean_cases::{CleanMix, CleanOnly, FineTune};
pub use orthogonal::OrthogonalProjection;
pub use purifier::Purifier;
pub use registry::{
    CleanCases, StepContext, TRAINING_DEFENCES, TrainingDefence, TrainingDefenceEntry,
    VolumeFilter, Volumes, find, names,
};
pub use ueraser::UEraser;
