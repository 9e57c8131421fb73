//! MONAI's `AttentionUnet`: a U-Net whose skip connections are gated.

mod blocks;
mod config;
mod network;

pub use blocks::AttentionGate;
pub use config::AttentionUnetConfig;
pub use network::AttentionUnet;

use crate::{Architecture, Width};

pub(super) const ARCHITECTURE: Architecture = Architecture {
    name: "attention-unet",
    title: "Attention U-Net with gated skip connections",
    source: "MONAI AttentionUnet (arXiv 1804.03999)",
    build: |spec, seed, device| {
        let config = match spec.width {
            Width::Narrow => AttentionUnetConfig::narrow(spec.in_channels, spec.classes),
            Width::Full => AttentionUnetConfig::standard(spec.in_channels, spec.classes),
        };
        Ok(Box::new(config.init(seed, device)?))
    },
};
