//! What an unauthorised user may do while training, to learn from protected files all the same.
//!
//! A defence is one file here and one line in the registry; [`find`] gives one by its name. The
//! [`Purifier`] is not among them: it needs data of its own.

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
    CleanCases, StepContext, TrainingDefence, VolumeFilter, Volumes, find, names, training_defences,
};
pub use ueraser::UEraser;
