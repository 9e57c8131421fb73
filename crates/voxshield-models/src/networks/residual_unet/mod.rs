//! MONAI's `UNet`: a U-Net with residual units.

mod config;
mod levels;
mod names;
mod network;
mod up_block;

pub use config::ResidualUnetConfig;
pub use network::ResidualUnet;
pub use up_block::UpBlock;

use crate::{Architecture, Width};

pub(super) const ARCHITECTURE: Architecture = Architecture {
    name: "residual-unet",
    title: "U-Net with residual units",
    source: "MONAI UNet, num_res_units 2 (arXiv 1811.12506)",
    build: |spec, seed, device| {
        let config = match spec.width {
            Width::Narrow => ResidualUnetConfig::narrow(spec.in_channels, spec.classes),
            Width::Full => ResidualUnetConfig::surrogate(spec.in_channels, spec.classes),
        };
        Ok(Box::new(config.init(seed, device)?))
    },
};
