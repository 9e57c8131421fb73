use voxshield_kernels::KernelError;
use voxshield_models::ModelError;
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
    /// An axis is too short for SSIM's window.
    #[error("SSIM needs at least one voxel on every axis, found the shape {shape:?}")]
    Empty {
        /// `[depth, height, width]`.
        shape: [usize; 3],
    },
    /// The training of a victim left the finite numbers.
    #[error("victim: the loss is {value} at step {step}; lower the learning rate")]
    Diverged {
        /// The step, from 0.
        step: usize,
        /// The loss.
        value: f32,
    },
    /// Patches or tiles.
    #[error(transparent)]
    Patches(#[from] PerturbError),
    /// A network refused its configuration or input.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A loss refused its arguments.
    #[error(transparent)]
    Kernel(#[from] KernelError),
}
