//! Differentiable 3D losses and layers of VoxShield, per Burn backend.
//!
//! | folder | answers |
//! |---|---|
//! | [`functions`] | what users call: validated, backend-free functions on [`burn::Tensor`] |
//! | [`ops`] | the backend extension: one trait an operation, a composition of tensor operations as its default body |
//! | `backends` | who runs it: Flex and CubeCL with kernels of our own or through the composition, autodiff by hand |
//! | [`reference`](mod@reference) | what is true: the same formulas as plain `f64` loops, without Burn |
//!
//! Arrays are `[batch, channel, depth, height, width]`; depth is the slice axis.
//!
//! # Features
//! No backend is enabled by default: `flex` is the CPU, `cube` is CUDA, Vulkan, Metal and WebGPU (the runtime itself is chosen with
//! Burn's own features), and `fusion` is for a Burn with kernel fusion. Burn's default features switch that on: a program with
//! `burn = { features = ["cuda"] }` and this crate's `cube` alone does not compile (E0277, a trait that `Fusion` lacks). Add `fusion`,
//! or take Burn with `default-features = false`.
//!
//! # Panics
//! Every function, on a device of a backend that is not enabled here: of a feature that is off, or of a backend of Burn's that has no
//! feature here (LibTorch, NdArray, remote).
#![cfg_attr(docsrs, feature(doc_cfg))]

mod backends;
mod error;
pub mod functions;
pub mod ops;
pub mod reference;

pub use error::KernelError;
pub use functions::{
    AxisMap, DiceCe, F16_GRADIENT_SCALE, IscScaling, NormActivation, adam_step, cast,
    conv_transpose3d, conv3d, instance_norm_act, inter_slice_divergence, map_axes,
    semantic_divergence, slice_distances,
};
pub use ops::{AdamStep, ConvGeometry};
