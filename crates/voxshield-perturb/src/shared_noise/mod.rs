//! One perturbation for all cases: a tile for the whole dataset, or one for each label, repeated over the volume.
//!
//! It is optimised by error minimisation over all cases (EMN's class-wise noise, arXiv 2101.04898, on voxels), and protects a case
//! that comes later without training.

mod config;
mod tiles;
mod training;

pub use self::{
    config::{SharedBy, SharedNoiseConfig},
    tiles::SharedNoise,
    training::SharedNoiseTraining,
};
