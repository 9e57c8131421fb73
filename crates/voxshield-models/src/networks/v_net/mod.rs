//! MONAI's `VNet`.

mod blocks;
mod config;
mod network;

pub use config::VNetConfig;
pub use network::VNet;

use crate::{Architecture, Width};

pub(super) const ARCHITECTURE: Architecture = Architecture {
    name: "v-net",
    title: "V-Net with 5x5x5 convolutions",
    source: "MONAI VNet (arXiv 1606.04797)",
    build: |spec, seed, device| {
        let config = match spec.width {
            Width::Narrow => VNetConfig::narrow(spec.in_channels, spec.classes),
            Width::Full => VNetConfig::standard(spec.in_channels, spec.classes),
        };
        Ok(Box::new(config.init(seed, device)?))
    },
};
