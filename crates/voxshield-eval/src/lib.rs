//! Does a protected dataset protect? Victims, augmentation and metrics.
//!
//! * [`VictimTrainer`] trains a segmentation network the way an unauthorised user would, with or
//!   without [`Augmentation`].
//! * [`defences`] are what that user might do to the files first, [`training`] what she might do
//!   while training.
//! * [`detector`] asks whether a perturbation gives the label away.
//! * [`metrics`] are computed on the host in `f64`, apart from the kernels, so that a score never
//!   comes from the code under test.
//! * [`record`] is the result of an evaluation as plain data, [`report`] the same as one HTML file,
//!   [`picture`] slices of volumes for it.
//!
//! The crate knows tensors and networks, no files.

mod augment;
pub mod defences;
pub mod detector;
mod error;
pub mod metrics;
pub mod picture;
mod preprocessing;
pub mod record;
pub mod report;
mod sampling;
mod shape;
pub mod training;
mod victim;

pub use augment::{Augmentation, augment, augmentation_margin};
pub use error::EvalError;
pub use preprocessing::Preprocessing;
pub use victim::{Optimiser, VictimConfig, VictimTrainer};
