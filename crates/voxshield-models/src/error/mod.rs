//! What can go wrong: with a configuration or an input, and with a file of weights.

mod model;
mod weights;

pub use model::ModelError;
pub use weights::{ShapeMismatch, WeightsError};
