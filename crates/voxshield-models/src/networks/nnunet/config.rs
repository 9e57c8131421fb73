use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use super::{NnUnet, Topology};
use crate::{ModelError, WeightRng};

/// Which encoder an [`NnUnet`] has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NnUnetEncoder {
    /// Convolutions one after the other: nnU-Net's `PlainConvUNet`.
    Plain,
    /// A stem and residual blocks: nnU-Net's `ResidualEncoderUNet`.
    Residual,
}

/// The structure of an [`NnUnet`], the arguments of nnU-Net v2's plans.
///
/// All lists but the last have one entry for each stage of the encoder, from the full resolution
/// down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NnUnetConfig {
    /// The kind of encoder.
    pub encoder: NnUnetEncoder,
    /// Channels of the input: 1 for CT or one MRI sequence, 4 for BraTS.
    pub in_channels: usize,
    /// Classes of the output, background included.
    pub classes: usize,
    /// Channels of each stage.
    pub features: Vec<usize>,
    /// Kernel sizes `[depth, height, width]`, odd.
    pub kernels: Vec<[usize; 3]>,
    /// Strides `[depth, height, width]` of the first convolution of each stage; 1 in the first.
    pub strides: Vec<[usize; 3]>,
    /// Convolutions, or residual blocks, of each stage of the encoder.
    pub blocks: Vec<usize>,
    /// Convolutions of each stage of the decoder, from the deepest up; one entry less.
    pub decoder_convs: Vec<usize>,
}

impl NnUnetConfig {
    /// The size that nnU-Net plans: 32 channels, doubled at each stage up to 320. The plain encoder
    /// has 2 convolutions a stage and so has its decoder; the residual one has 1, 3, 4, 6, 6, ..
    /// blocks and 1 convolution a stage in the decoder.
    ///
    /// For a 128^3 patch of isotropic voxels (6 stages): 31 million parameters plain, 102 million
    /// residual.
    pub fn standard(
        encoder: NnUnetEncoder,
        in_channels: usize,
        classes: usize,
        topology: &Topology,
    ) -> Self {
        let blocks: &[usize] = match encoder {
            NnUnetEncoder::Plain => &[2],
            NnUnetEncoder::Residual => &[1, 3, 4, 6],
        };
        Self::sized([in_channels, classes], encoder, 32..=320, blocks, topology)
    }

    /// A quarter of the channels, 8 up to 80, and at most 2 residual blocks a stage.
    pub fn narrow(
        encoder: NnUnetEncoder,
        in_channels: usize,
        classes: usize,
        topology: &Topology,
    ) -> Self {
        let blocks: &[usize] = match encoder {
            NnUnetEncoder::Plain => &[2],
            NnUnetEncoder::Residual => &[1, 2],
        };
        Self::sized([in_channels, classes], encoder, 8..=80, blocks, topology)
    }

    /// `blocks` begins the list of blocks; its last entry goes on for ever.
    fn sized(
        [in_channels, classes]: [usize; 2],
        encoder: NnUnetEncoder,
        features: std::ops::RangeInclusive<usize>,
        blocks: &[usize],
        topology: &Topology,
    ) -> Self {
        let stages = topology.strides.len();
        let doubled = |stage: usize| features.start().saturating_mul(1 << stage.min(31));
        let of_stage = |stage: usize| blocks[stage.min(blocks.len() - 1)];
        let convs = match encoder {
            NnUnetEncoder::Plain => 2,
            NnUnetEncoder::Residual => 1,
        };
        Self {
            encoder,
            in_channels,
            classes,
            features: (0..stages)
                .map(|stage| doubled(stage).min(*features.end()))
                .collect(),
            kernels: topology.kernels.clone(),
            strides: topology.strides.clone(),
            blocks: (0..stages).map(of_stage).collect(),
            decoder_convs: vec![convs; stages.saturating_sub(1)],
        }
    }

    /// Creates the network on `device`, with nnU-Net's initial weights drawn from `seed`: He's for a
    /// leaky ReLU with slope 0.01, biases 0; the last normalisation of each residual block has
    /// weight 0, so that the block is the identity at first.
    ///
    /// # Errors
    ///
    /// As [`NnUnetConfig::validate`].
    pub fn init(&self, seed: u64, device: &Device) -> Result<NnUnet, ModelError> {
        self.validate()?;
        let mut rng = WeightRng::new(seed);
        Ok(NnUnet::new(self.clone(), &mut rng, device))
    }
}
