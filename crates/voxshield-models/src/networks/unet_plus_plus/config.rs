use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use super::UnetPlusPlus;
use super::node::NodeSpec;
use crate::layers::conv_unit_parameters;
use crate::networks::limits::{affordable, not_zero};
use crate::{Activation, ConvSpec, ModelError, WeightRng};

/// Encoder levels.
pub(super) const LEVELS: usize = 5;

/// The structure of a [`UnetPlusPlus`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnetPlusPlusConfig {
    /// Channels of the input.
    pub in_channels: usize,
    /// Channels of the output: the classes, background included.
    pub out_channels: usize,
    /// Channels of the five levels from the top to the bottom, then those of the last node of the
    /// top level. The third to the fifth are halved on the way up, so at least 2.
    pub features: [usize; 6],
    /// The activation after every normalisation.
    pub activation: Activation,
    /// Whether the heads of all four nodes of the top level are used, rather than the last one
    /// alone: the logits are then their mean, and the training loss is the mean of their losses.
    pub deep_supervision: bool,
}

impl UnetPlusPlusConfig {
    /// MONAI's channels, 32-32-64-128-256 and 32, with ReLU, without deep supervision: a victim of
    /// VoxShield's authors. 7.0 million parameters; 26 times the operations of the surrogate.
    pub fn standard(in_channels: usize, classes: usize) -> Self {
        Self::new(in_channels, classes, [32, 32, 64, 128, 256, 32])
    }

    /// A small network for quick runs on a CPU: 8-8-16-32-64 and 8 channels.
    pub fn narrow(in_channels: usize, classes: usize) -> Self {
        Self::new(in_channels, classes, [8, 8, 16, 32, 64, 8])
    }

    fn new(in_channels: usize, out_channels: usize, features: [usize; 6]) -> Self {
        Self {
            in_channels,
            out_channels,
            features,
            activation: Activation::Relu,
            deep_supervision: false,
        }
    }

    /// Checks that a network of this structure exists and is of a sensible size.
    ///
    /// # Errors
    ///
    /// [`ModelError::Zero`], [`ModelError::OutOfRange`] (a level that cannot be halved, a leaky
    /// ReLU's slope) or [`ModelError::TooLarge`] (more than 2^30 parameters).
    pub fn validate(&self) -> Result<(), ModelError> {
        not_zero("in_channels", &[self.in_channels])?;
        not_zero("out_channels", &[self.out_channels])?;
        not_zero("features", &self.features)?;
        if self.features[2..LEVELS].contains(&1) {
            return Err(ModelError::OutOfRange {
                what: "features",
                expected: "at least 2 channels at the third to the fifth level",
                found: 1.0,
            });
        }
        self.activation.validate()?;
        affordable(self.parameter_count())
    }

    /// Creates the network on `device` with PyTorch's default initial weights drawn from `seed`.
    ///
    /// # Errors
    ///
    /// As [`UnetPlusPlusConfig::validate`].
    pub fn init(&self, seed: u64, device: &Device) -> Result<UnetPlusPlus, ModelError> {
        self.validate()?;
        let mut rng = WeightRng::new(seed);
        Ok(UnetPlusPlus::new(self.clone(), &mut rng, device))
    }

    /// The number of weights and biases of the network, without creating it; saturating.
    pub fn parameter_count(&self) -> u64 {
        let two = |[input, output]: [usize; 2]| {
            let first = conv_unit_parameters([input, output], self.activation);
            first.saturating_add(conv_unit_parameters([output; 2], self.activation))
        };
        let encoder = self.encoder().map(two);
        let nodes = (1..LEVELS).flat_map(|column| self.column(column));
        let nodes = nodes.map(|node| {
            let up = node.upsample().parameter_count();
            up.saturating_add(two(node.convs()))
        });
        let heads = self.heads().map(|head| head.parameter_count());
        encoder
            .chain(nodes)
            .chain(heads)
            .fold(0, u64::saturating_add)
    }

    /// `[in, out]` of each level of the encoder.
    pub(super) fn encoder(&self) -> impl Iterator<Item = [usize; 2]> {
        (0..LEVELS).map(|level| match level {
            0 => [self.in_channels, self.features[0]],
            _ => [self.features[level - 1], self.features[level]],
        })
    }

    /// The nodes of one column of the decoder (1 to 4), from the top.
    pub(super) fn column(&self, column: usize) -> impl Iterator<Item = NodeSpec> {
        (0..LEVELS - column).map(move |level| {
            let below = self.features[level + 1];
            NodeSpec {
                below,
                // The top level keeps the channels that it up-samples.
                up: if level == 0 { below } else { below / 2 },
                skip: self.features[level].saturating_mul(column),
                output: self.features[if column + 1 == LEVELS { LEVELS } else { level }],
            }
        })
    }

    /// The 1x1x1 convolutions after the four nodes of the top level.
    pub(super) fn heads(&self) -> impl Iterator<Item = ConvSpec> {
        [0, 0, 0, LEVELS]
            .map(|at| ConvSpec::new([self.features[at], self.out_channels], 1))
            .into_iter()
    }
}
