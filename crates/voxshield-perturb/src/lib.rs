//! Perturbations that keep segmentation networks from learning, and the optimiser that finds them.
//!
//! The crate knows tensors and networks, no files. Its parts:
//!
//! | module | answers |
//! |---|---|
//! | [`Budget`] | how large a perturbation may be, and the projection onto that |
//! | [`Support`] | where it may be non-zero, and how much of the budget it has there |
//! | [`Term`] | what the noise generator minimises; a caller can add her own |
//! | [`SurrogateConfig`] | what all methods with a surrogate have in common |
//! | [`SurrogateLearner`], [`NoiseLearner`] | one S-step, one N-step |
//! | [`Bilevel`] | VoxShield's loop of them, for either [`Generator`], any [`Term`]s and any [`Network`](voxshield_models::Network) as the surrogate |
//! | [`Transforms`], [`View`] | random changes before a network sees a patch (expectation over transforms) |
//! | [`TrainingState`] | what a run that was interrupted goes on from |
//! | [`PatchSource`], [`ahead`] | where cases come from, and reading them while the device works |
//! | [`SharedNoise`], [`SharedNoiseTraining`] | one perturbation for all cases, or for each label: universal and class-wise noise |
//! | [`Pgd`] | the loop of all methods that optimise each case's perturbation by signed gradients; [`Recipe`] is such a method |
//! | [`DeltaStore`] | where these perturbations are between visits |
//! | [`generate`] | the perturbation of a whole volume, in overlapping tiles where it is large |
//! | [`METHODS`] | every method by name; [`ClosedForm`] is one that needs no training |
//! | [`RandomNoise`] | the control: noise of the same budget and support that learns nothing |
//!
//! Every draw takes its seed from a configuration; progress is reported through [`Event`]s.
//!
//! Arrays are `[channel, depth, height, width]`, batches `[batch, channel, depth, height, width]`.

mod adam;
mod ahead;
mod alternation;
mod batch;
mod bilevel;
mod budget;
mod checkpoint;
mod config;
mod contour_texture;
mod delta_store;
mod error;
mod event;
mod generate;
mod generator;
mod learner;
mod methods;
mod morphology;
mod noise;
mod objective;
mod order_statistic;
mod patch;
mod pgd;
mod random;
mod running;
mod schedule;
mod shared_noise;
mod slices;
mod support;
mod surrogate;
mod surrogate_config;
mod tiles;
mod transforms;
mod window;

pub use adam::Adam;
pub use ahead::ahead;
pub use batch::Batch;
pub use bilevel::{Bilevel, Trained};
pub use budget::Budget;
pub use checkpoint::{SaveState, TrainingState};
pub use config::{BilevelConfig, IscMode};
pub use contour_texture::ContourTexture;
pub use delta_store::{DeltaCode, DeltaStore, MemoryDeltas};
pub use error::{ParseError, PerturbError, SourceError};
pub use event::{Event, RoundRecord};
pub use generate::{generate, generate_tile};
pub use generator::{Generator, GeneratorKind};
pub use methods::{
    ClosedForm, CodedCase, METHODS, MethodKind, Needs, PerturbationMethod, Strength, VictimDice,
};
pub use noise::{NoiseLearner, NoiseLoss};
pub use objective::{DiceCeTerm, IscTerm, NoiseStep, SpdTerm, Term, voxshield_terms};
pub use order_statistic::{OrderStatistic, See, order_statistic};
pub use patch::{InMemory, Patch, PatchSource, TrainingVolume, VolumeSource};
pub use pgd::{
    Criterion, Draws, Estimate, Expectation, Inner, Objective, Perturbed, Pgd, PgdConfig, Recipe,
    Scale, Schedule, Seen, SignDescent, Sparsity, WeightNoise,
};
pub use random::{NoiseStream, RandomNoise};
pub use shared_noise::{SharedBy, SharedNoise, SharedNoiseConfig, SharedNoiseTraining};
pub use slices::{ArraySlices, CaseSlices};
pub use support::{Peak, SoftRoi, Support};
pub use surrogate::SurrogateLearner;
pub use surrogate_config::SurrogateConfig;
pub use tiles::{TileConfig, TileMap, TileRows, tiled};
pub use transforms::{Family, Transforms, View};
pub use window::{Run, Window};
