//! nnU-Net's networks (arXiv 1809.10486, 2404.09556): the plain convolutional U-Net and the one with
//! a residual encoder, and the rule by which nnU-Net chooses their depth, kernels and strides.

mod block;
mod config;
mod conv;
mod decoder;
mod deep_supervision;
mod encoder;
mod names;
mod network;
mod stages;
mod topology;
mod validation;

pub use block::NnUnetBlock;
pub use config::{NnUnetConfig, NnUnetEncoder};
pub use conv::NnUnetConv;
pub use decoder::NnUnetDecoder;
pub use encoder::{EncoderStage, NnUnetStages};
pub use network::NnUnet;
pub use topology::{Topology, topology};

use burn::tensor::Device;

use crate::{Architecture, ModelError, Network, NetworkSpec, Width};

pub(super) const PLAIN: Architecture = Architecture {
    name: "nnunet-plain",
    title: "nnU-Net's plain convolutional U-Net",
    source: "dynamic-network-architectures PlainConvUNet (nnU-Net v2, arXiv 1809.10486)",
    build: |spec, seed, device| build(NnUnetEncoder::Plain, spec, seed, device),
};

pub(super) const RESIDUAL_ENCODER: Architecture = Architecture {
    name: "nnunet-res-enc",
    title: "nnU-Net's U-Net with a residual encoder",
    source: "dynamic-network-architectures ResidualEncoderUNet (nnU-Net v2, arXiv 2404.09556)",
    build: |spec, seed, device| build(NnUnetEncoder::Residual, spec, seed, device),
};

fn build(
    encoder: NnUnetEncoder,
    spec: &NetworkSpec,
    seed: u64,
    device: &Device,
) -> Result<Box<dyn Network>, ModelError> {
    let topology = topology(spec.patch, spec.spacing)?;
    let make = match spec.width {
        Width::Narrow => NnUnetConfig::narrow,
        Width::Full => NnUnetConfig::standard,
    };
    let config = make(encoder, spec.in_channels, spec.classes, &topology);
    Ok(Box::new(config.init(seed, device)?))
}
