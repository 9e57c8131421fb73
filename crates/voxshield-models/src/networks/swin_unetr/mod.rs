//! Swin UNETR: a transformer with shifted windows as the encoder of a U-Net.

mod attention;
mod block;
mod config;
mod network;
mod stage;
mod windows;

pub use attention::WindowAttention;
pub use block::SwinBlock;
pub use config::SwinUnetrConfig;
pub use network::SwinUnetr;
pub use stage::{PatchMerging, SwinStage};

use crate::{Architecture, Width};

pub(super) const ARCHITECTURE: Architecture = Architecture {
    name: "swin-unetr",
    title: "U-Net with a shifted-window transformer as its encoder",
    source: "MONAI SwinUNETR (arXiv 2201.01266)",
    build: |spec, seed, device| {
        let config = match spec.width {
            Width::Narrow => SwinUnetrConfig::narrow(spec.in_channels, spec.classes),
            Width::Full => SwinUnetrConfig::standard(spec.in_channels, spec.classes),
        };
        Ok(Box::new(config.init(seed, device)?))
    },
};
