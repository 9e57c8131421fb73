//! Random changes of a protected patch before a network sees it, differentiable, so that a perturbation can be optimised for
//! what is left of it after them (expectation over transforms).
//!
//! One family is one module here and one line in [`Family::ALL`].

mod affine;
mod blur;
mod depth_mean;
mod family;
mod gamma;
mod list;
mod low_resolution;
mod mirror;
mod view;

pub use self::{family::Family, list::Transforms, view::View};
