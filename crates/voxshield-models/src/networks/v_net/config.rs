use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use super::VNet;
use super::blocks::{DownSpec, UpSpec, conv5};
use crate::networks::limits::{affordable, not_zero};
use crate::{ChannelDropout, ConvNorm, ConvSpec, ModelError, WeightRng};

/// The structure of a [`VNet`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VNetConfig {
    /// Channels of the input; divides `width`.
    pub in_channels: usize,
    /// Channels of the output: the classes, background included.
    pub out_channels: usize,
    /// Channels of the first level, doubled at each of the four levels below it.
    pub width: usize,
    /// Probability, 0 to less than 1, with which a channel is dropped in training: in the two
    /// deepest blocks of the encoder, in what enters the two deepest of the decoder, and in all
    /// skip connections.
    pub dropout: f64,
}

impl VNetConfig {
    /// As published: 16-32-64-128-256 channels, dropout 0.5; 45.6 million parameters.
    ///
    /// `in_channels` has to divide 16.
    pub fn standard(in_channels: usize, classes: usize) -> Self {
        Self {
            in_channels,
            out_channels: classes,
            width: 16,
            dropout: 0.5,
        }
    }

    /// A small network for quick runs on a CPU: 4 channels at the first level (the largest multiple
    /// of `in_channels` up to 4, or `in_channels`), and no dropout.
    pub fn narrow(in_channels: usize, classes: usize) -> Self {
        Self {
            in_channels,
            out_channels: classes,
            width: in_channels.max(4 / in_channels.max(1) * in_channels),
            dropout: 0.0,
        }
    }

    /// Checks that a network of this structure exists and is of a sensible size.
    ///
    /// # Errors
    ///
    /// [`ModelError::Zero`], [`ModelError::OutOfRange`] (a width that is no multiple of
    /// `in_channels`, a dropout that is no probability) or [`ModelError::TooLarge`] (more than
    /// 2^30 parameters).
    pub fn validate(&self) -> Result<(), ModelError> {
        not_zero("in_channels", &[self.in_channels])?;
        not_zero("out_channels", &[self.out_channels])?;
        not_zero("width", &[self.width])?;
        if !self.width.is_multiple_of(self.in_channels) {
            return Err(ModelError::OutOfRange {
                what: "width",
                expected: "a multiple of in_channels",
                found: self.width as f64,
            });
        }
        ChannelDropout::validate("dropout", self.dropout)?;
        affordable(self.parameter_count())
    }

    /// Creates the network on `device` with PyTorch's default initial weights drawn from `seed`.
    ///
    /// # Errors
    ///
    /// As [`VNetConfig::validate`].
    pub fn init(&self, seed: u64, device: &Device) -> Result<VNet, ModelError> {
        self.validate()?;
        let mut rng = WeightRng::new(seed);
        Ok(VNet::new(self.clone(), &mut rng, device))
    }

    /// The number of weights and biases of the network, without creating it; saturating.
    pub fn parameter_count(&self) -> u64 {
        let ends = [self.first(), self.last()].map(ConvNorm::parameter_count);
        let down = self.down().map(|block| block.parameter_count());
        let up = self.up().map(|block| block.parameter_count());
        let head = self.head().parameter_count();
        let all = ends.into_iter().chain(down).chain(up).chain([head]);
        all.fold(0, u64::saturating_add)
    }

    pub(super) fn first(&self) -> ConvSpec {
        conv5([self.in_channels, self.width])
    }

    pub(super) fn last(&self) -> ConvSpec {
        conv5([self.width.saturating_mul(2), self.out_channels])
    }

    pub(super) fn head(&self) -> ConvSpec {
        ConvSpec::new([self.out_channels; 2], 1)
    }

    /// The encoder's blocks below the first level, from the top.
    pub(super) fn down(&self) -> impl Iterator<Item = DownSpec> {
        let blocks = [(1, 1, false), (2, 2, false), (4, 3, true), (8, 2, true)];
        blocks.into_iter().map(|(factor, convs, dropout)| DownSpec {
            input: self.width.saturating_mul(factor),
            convs,
            dropout: dropout.then_some(self.dropout),
        })
    }

    /// The decoder's blocks, from the bottom.
    pub(super) fn up(&self) -> impl Iterator<Item = UpSpec> {
        let blocks = [
            (16, 16, 2, true),
            (16, 8, 2, true),
            (8, 4, 1, false),
            (4, 2, 1, false),
        ];
        blocks
            .into_iter()
            .map(|(input, output, convs, dropout)| UpSpec {
                input: self.width.saturating_mul(input),
                output: self.width.saturating_mul(output),
                convs,
                dropout: dropout.then_some(self.dropout),
                skip_dropout: self.dropout,
            })
    }
}
