use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use super::{SwinStage, SwinUnetr};
use crate::networks::limits::{affordable, multiple, not_zero};
use crate::networks::unetr::{UnetrBlock, UnetrUpBlock};
use crate::{ConvSpec, ModelError, Norm, WeightRng};

/// Stages of the transformer; each halves the resolution after its blocks.
pub(super) const STAGES: usize = 4;
/// Voxels per token along each axis.
const TOKEN: usize = 2;

/// The structure of a [`SwinUnetr`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SwinUnetrConfig {
    /// Channels of the input: 1 for CT or one MRI sequence, 4 for BraTS.
    pub in_channels: usize,
    /// Channels of the output: the classes, background included.
    pub out_channels: usize,
    /// Channels at full resolution and in the first stage; they double with every stage.
    pub feature_size: usize,
    /// Blocks of each stage; every second one shifts its windows.
    pub depths: [usize; STAGES],
    /// Heads of the attention in each stage; they divide `feature_size * 2^stage`.
    pub num_heads: [usize; STAGES],
    /// Tokens `[depth, height, width]` of a window.
    pub window_size: [usize; 3],
}

impl SwinUnetrConfig {
    /// As published: 48 channels, two blocks in each stage, 3, 6, 12 and 24 heads, windows of 7^3
    /// tokens; 62.2 million parameters.
    pub fn standard(in_channels: usize, classes: usize) -> Self {
        Self {
            in_channels,
            out_channels: classes,
            feature_size: 48,
            depths: [2; STAGES],
            num_heads: [3, 6, 12, 24],
            window_size: [7; 3],
        }
    }

    /// A small network for quick runs on a CPU: 12 channels, windows of 4^3 tokens.
    pub fn narrow(in_channels: usize, classes: usize) -> Self {
        Self {
            feature_size: 12,
            window_size: [4; 3],
            ..Self::standard(in_channels, classes)
        }
    }

    /// Checks that a network of this structure exists and is of a sensible size.
    ///
    /// # Errors
    ///
    /// [`ModelError::Zero`], [`ModelError::NotAMultiple`] or [`ModelError::TooLarge`] (more than
    /// 2^30 parameters).
    pub fn validate(&self) -> Result<(), ModelError> {
        not_zero("in_channels", &[self.in_channels])?;
        not_zero("out_channels", &[self.out_channels])?;
        not_zero("feature_size", &[self.feature_size])?;
        not_zero("depths", &self.depths)?;
        not_zero("num_heads", &self.num_heads)?;
        not_zero("window_size", &self.window_size)?;
        affordable(self.parameter_count())?;
        for (stage, heads) in self.num_heads.into_iter().enumerate() {
            let what = "feature_size * 2^stage";
            multiple(what, self.channels(stage), heads, "num_heads of the stage")?;
        }
        Ok(())
    }

    /// Creates the network on `device` with initial weights drawn from `seed`: PyTorch's defaults,
    /// and `N(0, 0.02^2)` for the tables of position biases.
    ///
    /// # Errors
    ///
    /// As [`SwinUnetrConfig::validate`].
    pub fn init(&self, seed: u64, device: &Device) -> Result<SwinUnetr, ModelError> {
        self.validate()?;
        let mut rng = WeightRng::new(seed);
        Ok(SwinUnetr::new(self.clone(), &mut rng, device))
    }

    /// The number of weights and biases of the network, without creating it; saturating.
    pub fn parameter_count(&self) -> u64 {
        let stages = (0..STAGES).map(|stage| SwinStage::parameter_count(self, stage));
        let encoders = self.encoders().into_iter();
        let encoders =
            encoders.map(|channels| UnetrBlock::parameter_count(channels, Norm::Instance));
        let decoder = self.decoder().into_iter();
        let decoder =
            decoder.map(|channels| UnetrUpBlock::parameter_count(channels, Norm::Instance));
        [
            self.embedding().parameter_count(),
            self.out().parameter_count(),
        ]
        .into_iter()
        .chain(stages)
        .chain(encoders)
        .chain(decoder)
        .fold(0, u64::saturating_add)
    }

    /// What every size of an input has to be a multiple of.
    pub fn total_stride(&self) -> usize {
        TOKEN << STAGES
    }

    /// The convolution that makes the tokens.
    pub(super) fn embedding(&self) -> ConvSpec {
        ConvSpec::tiling([self.in_channels, self.feature_size], [TOKEN; 3])
    }

    /// The convolution that gives the logits.
    pub(super) fn out(&self) -> ConvSpec {
        ConvSpec::new([self.feature_size, self.out_channels], 1)
    }

    /// `[in, out]` channels of the blocks on the way to the decoder: on the input, on the tokens, and
    /// after the stages 1, 2 and 4. What comes from stage 3 goes there as it is.
    pub(super) fn encoders(&self) -> [[usize; 2]; 5] {
        [
            [self.in_channels, self.feature_size],
            [self.channels(0); 2],
            [self.channels(1); 2],
            [self.channels(2); 2],
            [self.channels(4); 2],
        ]
    }

    /// `[in, out]` channels of the decoder's blocks, from the bottom.
    pub(super) fn decoder(&self) -> [[usize; 2]; 5] {
        [
            [self.channels(4), self.channels(3)],
            [self.channels(3), self.channels(2)],
            [self.channels(2), self.channels(1)],
            [self.channels(1), self.channels(0)],
            [self.channels(0); 2],
        ]
    }

    /// Channels of the tokens in a stage; `STAGES` stands for what comes out of the last one.
    pub(super) fn channels(&self, stage: usize) -> usize {
        self.feature_size.saturating_mul(1 << stage)
    }
}
