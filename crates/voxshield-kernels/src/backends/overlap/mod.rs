//! [`OverlapOps`](crate::ops::OverlapOps), backend by backend.

mod autodiff;
#[cfg(feature = "cube")]
mod cube;
#[cfg(feature = "cube")]
mod cube_kernel;
#[cfg(feature = "flex")]
mod elementary;
#[cfg(feature = "flex")]
mod flex;
#[cfg(feature = "flex")]
mod softmax;
