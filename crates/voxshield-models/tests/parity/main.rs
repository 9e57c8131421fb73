//! Outputs and gradients against PyTorch and MONAI (`tests/golden/README.md`).
//!
//! `cargo test -p voxshield-models --test parity -- --nocapture` prints the largest differences.

mod attention_unet;
mod con_res_net;
mod harness;
mod hashed;
mod nnunet;
mod residual_unet;
mod seg_res_net;
mod swin_unetr;
mod unet_plus_plus;
mod unetr;
mod v_net;
