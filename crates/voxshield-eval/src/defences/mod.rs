//! What an unauthorised user may do to protected files before training, to destroy the perturbation.
//!
//! A defence is one file here and one line in the registry. [`find`] gives one by its name with the
//! default strength; the types' constructors give other strengths.

mod affine;
mod gamma;
mod gaussian_blur;
mod low_resolution;
mod random_affine;
mod registry;
mod volume;

pub use affine::Affine;
pub use gamma::Gamma;
pub use gaussian_blur::GaussianBlur;
pub use low_resolution::LowResolution;
pub use random_affine::RandomAffine;
pub use registry::{Defence, defences, find, names};
pub use volume::LabelledVolume;

use crate::EvalError;

/// A parameter that must be a positive number.
pub(crate) fn positive(what: &'static str, value: f64) -> Result<f64, EvalError> {
    if value.is_finite() && value > 0.0 {
        Ok(value)
    } else {
        Err(EvalError::Parameter {
            what,
            expected: "a positive number",
            found: value.to_string(),
        })
    }
}
