use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use super::SegResNet;
use super::block::{ResBlock, conv};
use crate::networks::limits::{affordable, not_zero};
use crate::{ChannelDropout, ConvSpec, ModelError, WeightRng};

/// The structure of a [`SegResNet`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SegResNetConfig {
    /// Channels of the input.
    pub in_channels: usize,
    /// Channels of the output: the classes, background included.
    pub out_channels: usize,
    /// Channels of the first level, doubled at each level below it; a multiple of `groups`.
    pub width: usize,
    /// Residual blocks of each level of the encoder, from the top; at least 2 levels.
    pub blocks_down: Vec<usize>,
    /// Residual blocks of each level of the decoder, from the bottom; one level less.
    pub blocks_up: Vec<usize>,
    /// Groups of the group normalisation.
    pub groups: usize,
    /// Probability, 0 to less than 1, with which a channel of the first convolution's output is
    /// dropped in training.
    pub dropout: f64,
}

impl SegResNetConfig {
    /// As published: 32-64-128-256 channels, 1-2-2-4 blocks down and 1-1-1 up, 8 groups, dropout
    /// 0.2; 18.8 million parameters.
    pub fn standard(in_channels: usize, classes: usize) -> Self {
        Self {
            width: 32,
            dropout: 0.2,
            ..Self::narrow(in_channels, classes)
        }
    }

    /// A small network for quick runs on a CPU, MONAI's default: 8 channels at the first level,
    /// no dropout; 1.2 million parameters.
    pub fn narrow(in_channels: usize, classes: usize) -> Self {
        Self {
            in_channels,
            out_channels: classes,
            width: 8,
            blocks_down: vec![1, 2, 2, 4],
            blocks_up: vec![1; 3],
            groups: 8,
            dropout: 0.0,
        }
    }

    /// Checks that a network of this structure exists and is of a sensible size.
    ///
    /// # Errors
    ///
    /// [`ModelError::Zero`], [`ModelError::OutOfRange`] (too few levels, a decoder that does not
    /// fit the encoder, a width that is no multiple of the groups, a dropout that is no
    /// probability) or [`ModelError::TooLarge`] (more than 2^30 parameters).
    pub fn validate(&self) -> Result<(), ModelError> {
        not_zero("in_channels", &[self.in_channels])?;
        not_zero("out_channels", &[self.out_channels])?;
        not_zero("width", &[self.width])?;
        not_zero("groups", &[self.groups])?;
        let [down, up] = [&self.blocks_down, &self.blocks_up].map(Vec::len);
        let require = |holds, what, expected, found: usize| match holds {
            true => Ok(()),
            false => Err(ModelError::OutOfRange {
                what,
                expected,
                found: found as f64,
            }),
        };
        require(down >= 2, "blocks_down", "at least 2 levels", down)?;
        let matches = down - 1 == up;
        require(matches, "blocks_up", "one level less than blocks_down", up)?;
        let divides = self.width.is_multiple_of(self.groups);
        require(divides, "width", "a multiple of groups", self.width)?;
        ChannelDropout::validate("dropout", self.dropout)?;
        affordable(self.parameter_count())
    }

    /// Creates the network on `device` with PyTorch's default initial weights drawn from `seed`.
    ///
    /// # Errors
    ///
    /// As [`SegResNetConfig::validate`].
    pub fn init(&self, seed: u64, device: &Device) -> Result<SegResNet, ModelError> {
        self.validate()?;
        let mut rng = WeightRng::new(seed);
        Ok(SegResNet::new(self.clone(), &mut rng, device))
    }

    /// The number of weights and biases of the network, without creating it; saturating.
    pub fn parameter_count(&self) -> u64 {
        let blocks = |level, count: usize| {
            let one = ResBlock::parameter_count(self.channels(level));
            one.saturating_mul(count as u64)
        };
        let down = self.blocks_down.iter().enumerate().map(|(level, &count)| {
            let pre = self.pre(level).map_or(0, |conv| conv.parameter_count());
            blocks(level, count).saturating_add(pre)
        });
        let up = self.decoder().map(|(level, count)| {
            let reduce = self.reduce(level).parameter_count();
            blocks(level, count).saturating_add(reduce)
        });
        let norm = (self.width as u64).saturating_mul(2);
        let ends = [self.first(), self.head()].map(|conv| conv.parameter_count());
        let all = down.chain(up).chain(ends).chain([norm]);
        all.fold(0, u64::saturating_add)
    }

    /// Channels of a level, counted from the top; saturating.
    pub(super) fn channels(&self, level: usize) -> usize {
        let level = u32::try_from(level).unwrap_or(u32::MAX);
        self.width.saturating_mul(2usize.saturating_pow(level))
    }

    pub(super) fn first(&self) -> ConvSpec {
        conv([self.in_channels, self.width])
    }

    /// The convolution that leads to a level from the one above it.
    pub(super) fn pre(&self, level: usize) -> Option<ConvSpec> {
        let above = level.checked_sub(1)?;
        let channels = [self.channels(above), self.channels(level)];
        Some(conv(channels).with_stride([2; 3]))
    }

    /// The levels of the decoder, from the bottom, with their numbers of blocks.
    pub(super) fn decoder(&self) -> impl Iterator<Item = (usize, usize)> {
        let levels = (0..self.blocks_up.len()).rev();
        levels.zip(self.blocks_up.iter().copied())
    }

    /// The 1x1x1 convolution that leads to a level from the one below it, before up-sampling.
    pub(super) fn reduce(&self, level: usize) -> ConvSpec {
        let channels = [self.channels(level + 1), self.channels(level)];
        ConvSpec::new(channels, 1).without_bias()
    }

    pub(super) fn head(&self) -> ConvSpec {
        ConvSpec::new([self.width, self.out_channels], 1)
    }
}
