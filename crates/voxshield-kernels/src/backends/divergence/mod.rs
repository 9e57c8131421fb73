//! [`DivergenceOps`](crate::ops::DivergenceOps), backend by backend.

mod autodiff;
#[cfg(feature = "cube")]
mod cube;
#[cfg(feature = "cube")]
mod cube_kernel;
#[cfg(feature = "flex")]
mod flex;
