//! What is done with untrusted bytes: one function a kind of file. A target passes when it returns, whatever it returns.
//!
//! `cargo +nightly fuzz run NAME` runs one with coverage, with `--features checkpoints` those that need Burn; `tests/fuzz.rs` of the package
//! voxshield runs all of them on stable with mutated seeds.

#[cfg(feature = "checkpoints")]
pub mod checkpoints;
pub mod data;
mod target;

pub use target::Target;
