//! A network that an unauthorised user trains on the published files.

mod augmented;
mod config;
mod trainer;

pub use config::{Optimiser, VictimConfig};
pub use trainer::VictimTrainer;
