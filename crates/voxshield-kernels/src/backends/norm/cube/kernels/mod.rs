//! The kernels, without policy: every number about sizes and layout comes from the launch.
//!
//! Arithmetic is in `f32` whatever the tensors hold. A sum over a map is made in three levels, in
//! a fixed order: a unit adds a few dozen values, the units of a cube join in a tree, and a second
//! kernel joins the cubes of a map in another tree.

mod gradients;
mod statistics;
mod walk;

pub(super) use gradients::{chunk_gradients, input_gradient, join_gradients};
pub(super) use statistics::{chunk_statistics, join_statistics, normalise};
pub(super) use walk::{GridLaunch, Walk};
