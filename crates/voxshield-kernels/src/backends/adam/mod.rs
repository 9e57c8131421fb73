//! [`AdamOps`](crate::ops::AdamOps), backend by backend.

mod autodiff;
#[cfg(feature = "cube")]
mod cube;
#[cfg(feature = "flex")]
mod flex;
