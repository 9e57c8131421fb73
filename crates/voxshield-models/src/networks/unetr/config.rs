use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use super::{ProjectionBlock, Unetr, UnetrBlock, UnetrUpBlock, VisionTransformer};
use crate::networks::limits::{affordable, multiple, not_zero};
use crate::{ConvSpec, ModelError, Norm, WeightRng};

/// Voxels per token along each axis.
pub(super) const TOKEN: usize = 16;

/// The structure of a [`Unetr`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnetrConfig {
    /// Channels of the input: 1 for CT or one MRI sequence, 4 for BraTS.
    pub in_channels: usize,
    /// Channels of the output: the classes, background included.
    pub out_channels: usize,
    /// The only input size `[depth, height, width]` in voxels, multiples of 16: there is one learned
    /// position per cube of 16 voxels.
    pub input_size: [usize; 3],
    /// Channels at full resolution; they double with each of the three halvings.
    pub feature_size: usize,
    /// Features of a token.
    pub hidden_size: usize,
    /// Hidden features of the transformer's feed-forward parts.
    pub mlp_dim: usize,
    /// Heads of the attention; they divide `hidden_size`.
    pub num_heads: usize,
    /// The normalisation after the convolutions.
    pub norm: Norm,
}

impl UnetrConfig {
    /// As published: 16 channels at full resolution, tokens of 768 features, 12 heads; 92.8 million
    /// parameters for inputs of 96^3.
    pub fn standard(in_channels: usize, classes: usize, input_size: [usize; 3]) -> Self {
        Self {
            in_channels,
            out_channels: classes,
            input_size,
            feature_size: 16,
            hidden_size: 768,
            mlp_dim: 3072,
            num_heads: 12,
            norm: Norm::Instance,
        }
    }

    /// A small network for quick runs on a CPU: 8 channels at full resolution, tokens of 96
    /// features, 6 heads.
    pub fn narrow(in_channels: usize, classes: usize, input_size: [usize; 3]) -> Self {
        Self {
            feature_size: 8,
            hidden_size: 96,
            mlp_dim: 192,
            num_heads: 6,
            ..Self::standard(in_channels, classes, input_size)
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
        not_zero("input_size", &self.input_size)?;
        not_zero("feature_size", &[self.feature_size])?;
        not_zero("hidden_size", &[self.hidden_size])?;
        not_zero("mlp_dim", &[self.mlp_dim])?;
        not_zero("num_heads", &[self.num_heads])?;
        for size in self.input_size {
            multiple("input_size", size, TOKEN, "voxels per token")?;
        }
        multiple("hidden_size", self.hidden_size, self.num_heads, "num_heads")?;
        affordable(self.parameter_count())
    }

    /// Creates the network on `device` with initial weights drawn from `seed`: PyTorch's defaults,
    /// and `N(0, 0.02^2)` for the positions.
    ///
    /// # Errors
    ///
    /// As [`UnetrConfig::validate`].
    pub fn init(&self, seed: u64, device: &Device) -> Result<Unetr, ModelError> {
        self.validate()?;
        let mut rng = WeightRng::new(seed);
        Ok(Unetr::new(self.clone(), &mut rng, device))
    }

    /// The number of weights and biases of the network, without creating it; saturating. MONAI's
    /// blocks have a normalisation that nothing uses; it is counted.
    pub fn parameter_count(&self) -> u64 {
        let encoder = UnetrBlock::parameter_count([self.in_channels, self.channels(0)], self.norm);
        let projections = self
            .projections()
            .map(|(channels, steps)| ProjectionBlock::parameter_count(channels, steps, self.norm));
        let decoder = self
            .decoder()
            .map(|channels| UnetrUpBlock::parameter_count(channels, self.norm));
        [
            VisionTransformer::parameter_count(self),
            encoder,
            self.out().parameter_count(),
        ]
        .into_iter()
        .chain(projections)
        .chain(decoder)
        .fold(0, u64::saturating_add)
    }

    /// `[in, out]` channels and up-sampling steps after the first, of the blocks that bring tokens
    /// to the resolution of 1/2, 1/4 and 1/8.
    pub(super) fn projections(&self) -> [([usize; 2], usize); 3] {
        [1, 2, 3].map(|level| ([self.hidden_size, self.channels(level)], 3 - level))
    }

    /// `[in, out]` channels of the decoder's blocks, from the bottom.
    pub(super) fn decoder(&self) -> [[usize; 2]; 4] {
        [
            [self.hidden_size, self.channels(3)],
            [self.channels(3), self.channels(2)],
            [self.channels(2), self.channels(1)],
            [self.channels(1), self.channels(0)],
        ]
    }

    /// The convolution that gives the logits.
    pub(super) fn out(&self) -> ConvSpec {
        ConvSpec::new([self.channels(0), self.out_channels], 1)
    }

    /// Channels after `level` halvings.
    pub(super) fn channels(&self, level: usize) -> usize {
        self.feature_size.saturating_mul(1 << level)
    }
}
