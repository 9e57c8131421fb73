use voxshield_kernels::KernelError;
use voxshield_models::{ModelError, WeightsError};
use voxshield_perturb::PerturbError;

/// Why an evaluation could not be carried out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EvalError {
    /// Two arrays that are compared differ in length or do not fit their shape.
    #[error("{what}: expected {expected} values, found {found}")]
    Length {
        /// The array.
        what: &'static str,
        /// The length that was needed.
        expected: usize,
        /// Its length.
        found: usize,
    },
    /// A volume without voxels.
    #[error("a volume needs at least one voxel on every axis, found the shape {shape:?}")]
    Empty {
        /// `[depth, height, width]`.
        shape: [usize; 3],
    },
    /// A number outside the range in which the formula holds.
    #[error("{what}: expected {expected}, found {found}")]
    Parameter {
        /// The number.
        what: &'static str,
        /// What is accepted.
        expected: &'static str,
        /// What was passed.
        found: String,
    },
    /// No defence has this name.
    #[error("unknown defence `{name}`; known are: {}", known.join(", "))]
    UnknownDefence {
        /// The name that was asked for.
        name: String,
        /// The names in the registry.
        known: Vec<&'static str>,
    },
    /// The training of a victim left the finite numbers.
    #[error("victim: the loss is {value} at step {step}; lower the learning rate")]
    Diverged {
        /// The step, from 0.
        step: usize,
        /// The loss.
        value: f32,
    },
    /// A picture could not be encoded.
    #[error("picture: {0}")]
    Picture(#[from] image::ImageError),
    /// A report could not be rendered.
    #[error("report: {0}")]
    Report(#[from] askama::Error),
    /// Patches or tiles.
    #[error(transparent)]
    Patches(#[from] PerturbError),
    /// A network refused its configuration or input.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// Weights of another network.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// A loss refused its arguments.
    #[error(transparent)]
    Kernel(#[from] KernelError),
}
