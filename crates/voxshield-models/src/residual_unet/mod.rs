//! MONAI's `UNet`: a U-Net with residual units.

mod config;
mod names;
mod network;

pub use config::ResidualUnetConfig;
pub use network::{ResidualUnet, UpBlock};
