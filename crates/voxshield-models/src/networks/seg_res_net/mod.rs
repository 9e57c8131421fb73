//! MONAI's `SegResNet`.

mod block;
mod config;
mod network;

pub use config::SegResNetConfig;
pub use network::SegResNet;

use crate::{Architecture, Width};

pub(super) const ARCHITECTURE: Architecture = Architecture {
    name: "seg-res-net",
    title: "SegResNet, residual encoder with a light decoder",
    source: "MONAI SegResNet (arXiv 1810.11654, without the autoencoder branch)",
    build: |spec, seed, device| {
        let config = match spec.width {
            Width::Narrow => SegResNetConfig::narrow(spec.in_channels, spec.classes),
            Width::Full => SegResNetConfig::standard(spec.in_channels, spec.classes),
        };
        Ok(Box::new(config.init(seed, device)?))
    },
};
