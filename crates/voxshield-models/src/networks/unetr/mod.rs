//! UNETR: a vision transformer as the encoder of a U-Net.

mod blocks;
mod config;
mod names;
mod network;
mod vit;

pub use blocks::{NormedConv, ProjectionBlock, UnetrBlock, UnetrUpBlock};
pub use config::UnetrConfig;
pub(super) use names::{block_name, leaf_name, up_block_name};
pub use network::Unetr;
pub use vit::{SelfAttention, TransformerBlock, VisionTransformer};

use crate::{Architecture, Width};

pub(super) const ARCHITECTURE: Architecture = Architecture {
    name: "unetr",
    title: "U-Net with a vision transformer as its encoder; inputs of one size only",
    source: "MONAI UNETR (arXiv 2103.10504)",
    build: |spec, seed, device| {
        let config = match spec.width {
            Width::Narrow => UnetrConfig::narrow(spec.in_channels, spec.classes, spec.patch),
            Width::Full => UnetrConfig::standard(spec.in_channels, spec.classes, spec.patch),
        };
        Ok(Box::new(config.init(seed, device)?))
    },
};
