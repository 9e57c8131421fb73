//! VoxShield adds bounded perturbations to labelled 3D medical volumes before publication, which are meant to make unasked training
//! on them harder. How far they do was measured: the README has the numbers, and what is not promised.
//!
//! This crate is the facade. The parts are crates of their own and are re-exported here:
//!
//! | module | crate | answers |
//! |---|---|---|
//! | [`data`] | `voxshield-data` | NIfTI, geometry, intensities, labels, dataset layouts, manifest |
//! | [`kernels`] | `voxshield-kernels` | differentiable losses (ISC, SPD, DiceCE), per backend |
//! | [`models`] | `voxshield-models` | networks: surrogate, victim, noise generator |
//! | [`perturb`] | `voxshield-perturb` | budget, support, the bilevel optimiser, random controls |
//! | [`eval`] | `voxshield-eval` | victims, augmentation, defences, metrics |
//! | [`pipeline`] | here | the join of files to tensors: protect, verify, inspect, evaluate |
//!
//! # Features
//! No backend is enabled by default: `flex` is the CPU; `wgpu`, `vulkan`, `metal` and `cuda` are
//! GPUs. The device is chosen at run time with [`pipeline::DeviceChoice`].
//!
//! # Example
//! ```no_run
//! use voxshield::pipeline::{ProtectOptions, protect, verify};
//!
//! # fn main() -> Result<(), voxshield::pipeline::PipelineError> {
//! let options = ProtectOptions::default();
//! let manifest = protect("dataset".as_ref(), "protected".as_ref(), &options, &mut |_| {})?;
//! println!("{} cases protected", manifest.cases.len());
//! assert!(verify("dataset".as_ref(), "protected".as_ref(), &mut |_| {})?.is_kept());
//! # Ok(())
//! # }
//! ```

pub mod pipeline;

pub use voxshield_data as data;
pub use voxshield_eval as eval;
pub use voxshield_kernels as kernels;
pub use voxshield_models as models;
pub use voxshield_perturb as perturb;

pub use burn;
