//! VoxShield adds bounded perturbations to labelled 3D medical volumes before publication, which are meant to make unasked training
//! on them harder. How far they do was measured: the README has the numbers, and what is not promised.
//!
//! This crate is the facade. The parts are crates of their own and are re-exported here:
//!
//! | module | crate | answers |
//! |---|---|---|
//! | [`data`] | `voxshield-data` | NIfTI, geometry, intensities, labels, dataset layouts, manifest |
//! | [`pytorch`] | `voxshield-pytorch` | what a PyTorch checkpoint may take of memory, before it is read |
//! | [`kernels`] | `voxshield-kernels` | differentiable losses (ISC, SPD, DiceCE), convolutions, normalisation, Adam, per backend |
//! | [`models`] | `voxshield-models` | networks: surrogate, victim, noise generator |
//! | [`perturb`] | `voxshield-perturb` | budget, support, every method, the optimisers, random controls |
//! | [`eval`] | `voxshield-eval` | victims, augmentation, defences, metrics, reports |
//! | [`pipeline`] | here | the join of files to tensors: protect, verify, inspect, evaluate |
//!
//! # Features
//! No backend is enabled by default: `flex` is the CPU; `wgpu`, `vulkan`, `metal` and `cuda` are
//! GPUs. The device is chosen at run time with [`pipeline::DeviceChoice`].
//!
//! Burn's default features switch its kernel fusion on. A program that has Burn with them, and a GPU, beside this crate needs the
//! feature `fusion` here as well, or it does not compile (E0277); or Burn with `default-features = false`, or no Burn of its own:
//! [`burn`] is re-exported, and `use voxshield::burn;` is what `derive(Module)` needs. So is [`ndarray`], of which volumes are made.
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
pub use voxshield_pytorch as pytorch;

pub use burn;
pub use ndarray;
