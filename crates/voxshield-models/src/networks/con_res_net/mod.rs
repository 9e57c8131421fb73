//! The context-residual network (arXiv 2011.14155).

mod config;
mod cost;
mod heads;
mod level;
mod loss;
mod network;
mod pre_activation;
mod slice_difference;
mod standardised;

pub use config::ConResNetConfig;
pub use heads::ConResHeads;
pub use level::{ConResLevel, ResidualInput};
pub use network::ConResNet;
pub use pre_activation::{PreActivation, PreActivationBlock};
pub use slice_difference::slice_difference;

use crate::{Architecture, Width};

pub(super) const ARCHITECTURE: Architecture = Architecture {
    name: "con-res-net",
    title: "context-residual network, which sees the differences between slices",
    source: "Zhang et al., arXiv 2011.14155, with softmax classes",
    build: |spec, seed, device| {
        let config = match spec.width {
            Width::Narrow => ConResNetConfig::narrow(spec.in_channels, spec.classes),
            Width::Full => ConResNetConfig::published(spec.in_channels, spec.classes),
        };
        Ok(Box::new(config.init(seed, device)?))
    },
};
