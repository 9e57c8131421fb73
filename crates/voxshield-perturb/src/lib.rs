//! Perturbations that keep segmentation networks from learning, and the optimiser that finds them.
//!
//! The crate knows tensors and networks, no files. Its parts:
//!
//! | module | answers |
//! |---|---|
//! | [`Budget`] | how large a perturbation may be, and the projection onto that |
//! | [`Support`] | where it may be non-zero, and how much of the budget it has there |
//! | [`Term`] | what the noise generator minimises; a caller can add her own |
//! | [`SurrogateLearner`], [`NoiseLearner`] | one S-step, one N-step |
//! | [`Bilevel`] | VoxShield's loop of them |
//! | [`Transforms`], [`View`] | random changes before a network sees a patch (expectation over transforms) |
//! | [`PatchSource`], [`ahead`] | where cases come from, and reading them while the device works |
//! | [`SharedNoise`], [`SharedNoiseTraining`] | one perturbation for all cases, or for each label: class-wise and universal noise |
//! | [`SignDescent`] | error-minimising noise by projected sign descent (EMN) |
//! | [`generate`] | the perturbation of a whole volume, in overlapping tiles where it is large |
//! | [`METHODS`] | every method by name; [`ClosedForm`] is one that needs no training |
//! | [`RandomNoise`] | the control: noise of the same budget and support that learns nothing |
//!
//! Every draw takes its seed from a configuration; progress is reported through [`Event`]s.
//!
//! Arrays are `[channel, depth, height, width]`, batches `[batch, channel, depth, height, width]`.

mod adam;
mod ahead;
mod batch;
mod bilevel;
mod budget;
mod config;
mod error;
mod event;
mod generate;
mod learner;
mod methods;
mod noise;
mod objective;
mod patch;
mod random;
mod running;
mod schedule;
mod shared_noise;
mod sign_descent;
mod support;
mod surrogate;
mod tiles;
mod transforms;

pub use adam::Adam;
pub use ahead::ahead;
pub use batch::Batch;
pub use bilevel::{Bilevel, Trained};
pub use budget::Budget;
pub use config::{BilevelConfig, IscMode, LearningRates};
pub use error::{PerturbError, SourceError};
pub use event::{Event, RoundRecord};
pub use generate::generate;
pub use methods::{ClosedForm, CodeInput, METHODS, Needs, PerturbationMethod};
pub use noise::{NoiseLearner, NoiseLoss};
pub use objective::{DiceCeTerm, IscTerm, NoiseStep, SpdTerm, Term, voxshield_terms};
pub use patch::{InMemory, Patch, PatchSource, TrainingVolume};
pub use random::RandomNoise;
pub use shared_noise::{SharedBy, SharedNoise, SharedNoiseConfig, SharedNoiseTraining};
pub use sign_descent::SignDescent;
pub use support::{Peak, SoftRoi, Support};
pub use surrogate::SurrogateLearner;
pub use tiles::{TileConfig, TileMap, tiled};
pub use transforms::{Family, Transforms, View};
