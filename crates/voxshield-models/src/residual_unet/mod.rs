//! MONAI's `UNet`: a U-Net with residual units.

mod config;
mod levels;
mod names;
mod network;
mod up_block;

pub use config::ResidualUnetConfig;
pub use network::ResidualUnet;
pub use up_block::UpBlock;
