//! Outputs and gradients against PyTorch and MONAI (`tests/golden/README.md`).
//!
//! `cargo test -p voxshield-models --test parity -- --nocapture` prints the largest differences.

mod harness;
mod hashed;
mod residual_unet;
mod swin_unetr;
mod unetr;
