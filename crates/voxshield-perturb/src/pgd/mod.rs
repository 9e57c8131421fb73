//! Perturbations of each case by projected descent on the sign of a gradient.
//!
//! | part | answers |
//! |---|---|
//! | [`Recipe`] | which method: what follows, as plain data |
//! | [`Criterion`], [`Objective`] | what is minimised through the target networks |
//! | [`Expectation`] | over what the gradient is averaged: views, inner noise, noise on the weights |
//! | [`SignDescent`] | norm ball and step rule |
//! | [`Sparsity`] | which voxels of the support may move |
//! | [`Schedule`] | when surrogate steps are taken, and which networks are the target |
//! | [`Pgd`] | the loop |

mod config;
mod cover;
mod criterion;
mod descent;
mod expectation;
mod features;
mod orders;
mod reader;
mod recipe;
mod rounds;
mod run;
mod sparsity;
mod targeted;

pub use config::{PgdConfig, Scale};
pub use criterion::{Criterion, Seen};
pub use descent::{Estimate, SignDescent};
pub use expectation::{Draws, Expectation, Inner, WeightNoise};
pub use recipe::{Objective, Recipe, Schedule};
pub use run::{Perturbed, Pgd};
pub use sparsity::Sparsity;
