//! The promises of the pipeline on written files (the library with the `flex` feature).
//!
//! Phantom datasets are written as real NIfTI; every check re-opens the files.
#![cfg(feature = "flex")]

mod evaluate;
mod inspect;
mod options;
mod pairs;
mod pipeline;
mod preview;
mod support;
mod unlock;
