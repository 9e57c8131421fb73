//! MONAI's `BasicUNetPlusPlus`: a U-Net with nested, dense skip connections.

mod config;
mod network;
mod node;

pub use config::UnetPlusPlusConfig;
pub use network::UnetPlusPlus;

use crate::{Architecture, Width};

pub(super) const ARCHITECTURE: Architecture = Architecture {
    name: "unet-plus-plus",
    title: "U-Net++ with nested skip connections",
    source: "MONAI BasicUNetPlusPlus, ReLU, instance norm (arXiv 1807.10165)",
    build: |spec, seed, device| {
        let config = match spec.width {
            Width::Narrow => UnetPlusPlusConfig::narrow(spec.in_channels, spec.classes),
            Width::Full => UnetPlusPlusConfig::standard(spec.in_channels, spec.classes),
        };
        Ok(Box::new(config.init(seed, device)?))
    },
};
