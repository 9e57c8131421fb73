use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use super::AttentionUnet;
use super::blocks::{EncoderBlock, UpBlock};
use crate::networks::limits::{affordable, levels, not_zero, total_stride};
use crate::{ConvSpec, ModelError, WeightRng};

/// The structure of an [`AttentionUnet`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttentionUnetConfig {
    /// Channels of the input.
    pub in_channels: usize,
    /// Channels of the output: the classes, background included.
    pub out_channels: usize,
    /// Channels of each level from the top to the bottom, at least 2 levels; at least 2 channels
    /// above the bottom, because the gates work on half of them.
    pub channels: Vec<usize>,
    /// Down-sampling between the levels, one less than `channels`; the same for all three axes.
    pub strides: Vec<usize>,
}

impl AttentionUnetConfig {
    /// 32-64-128-256-512 channels, strides 2: a victim of VoxShield's authors. Sizes have to be
    /// multiples of 16, 32 at least for one of them; 23.6 million parameters.
    pub fn standard(in_channels: usize, classes: usize) -> Self {
        Self {
            in_channels,
            out_channels: classes,
            channels: vec![32, 64, 128, 256, 512],
            strides: vec![2; 4],
        }
    }

    /// A small network for quick runs on a CPU: 8-16-32 channels, strides 2.
    pub fn narrow(in_channels: usize, classes: usize) -> Self {
        Self {
            in_channels,
            out_channels: classes,
            channels: vec![8, 16, 32],
            strides: vec![2; 2],
        }
    }

    /// Checks that a network of this structure exists and is of a sensible size.
    ///
    /// # Errors
    ///
    /// [`ModelError::Zero`], [`ModelError::TooFewLevels`], [`ModelError::StrideCount`],
    /// [`ModelError::StridesTooLarge`], [`ModelError::OutOfRange`] (a level that cannot be halved)
    /// or [`ModelError::TooLarge`] (more than 2^30 parameters).
    pub fn validate(&self) -> Result<(), ModelError> {
        not_zero("in_channels", &[self.in_channels])?;
        not_zero("out_channels", &[self.out_channels])?;
        not_zero("channels", &self.channels)?;
        not_zero("strides", &self.strides)?;
        levels(&self.channels, &self.strides)?;
        if self.levels().any(|[channels, _]| channels < 2) {
            return Err(ModelError::OutOfRange {
                what: "channels",
                expected: "at least 2 at each level above the bottom",
                found: 1.0,
            });
        }
        affordable(self.parameter_count())
    }

    /// Creates the network on `device` with PyTorch's default initial weights drawn from `seed`.
    ///
    /// # Errors
    ///
    /// As [`AttentionUnetConfig::validate`].
    pub fn init(&self, seed: u64, device: &Device) -> Result<AttentionUnet, ModelError> {
        self.validate()?;
        let mut rng = WeightRng::new(seed);
        Ok(AttentionUnet::new(self.clone(), &mut rng, device))
    }

    /// The number of weights and biases of the network, without creating it; saturating.
    pub fn parameter_count(&self) -> u64 {
        let top = EncoderBlock::parameter_count([self.in_channels, self.top()]);
        let levels = self.levels().map(|[channels, below]| {
            let down = EncoderBlock::parameter_count([channels, below]);
            down.saturating_add(UpBlock::parameter_count([below, channels]))
        });
        let head = self.head().parameter_count();
        levels.fold(top.saturating_add(head), u64::saturating_add)
    }

    /// The product of the strides: what every size of an input has to be a multiple of.
    pub fn total_stride(&self) -> usize {
        total_stride(&self.strides)
    }

    /// The channels of each level above the bottom, and of the one below it.
    pub(super) fn levels(&self) -> impl Iterator<Item = [usize; 2]> {
        let below = self.channels.iter().skip(1);
        self.channels
            .iter()
            .zip(below)
            .map(|(&own, &below)| [own, below])
    }

    pub(super) fn top(&self) -> usize {
        self.channels.first().copied().unwrap_or_default()
    }

    pub(super) fn head(&self) -> ConvSpec {
        ConvSpec::new([self.top(), self.out_channels], 1)
    }
}
