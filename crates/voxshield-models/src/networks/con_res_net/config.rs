use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use super::ConResNet;
use super::level::level_parameters;
use super::pre_activation::pre_parameters;
use crate::networks::limits::{affordable, not_zero};
use crate::{ChannelDropout, ConvSpec, ModelError, WeightRng};

/// The structure of a [`ConResNet`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConResNetConfig {
    /// Channels of the input: 1 for CT or one MRI sequence, 4 for BraTS.
    pub in_channels: usize,
    /// Classes of the output, background included.
    pub classes: usize,
    /// Channels at the full, half, quarter and eighth resolution.
    pub widths: [usize; 4],
    /// Groups of every group normalisation; divides all widths.
    pub groups: usize,
    /// Probability with which a channel is dropped at the bottleneck in training, `0 <= p < 1`.
    pub dropout: f64,
}

impl ConResNetConfig {
    /// The size of the paper: 32-64-128-256 channels, 8 groups, dropout 0.1; 19 million parameters.
    pub fn published(in_channels: usize, classes: usize) -> Self {
        Self {
            in_channels,
            classes,
            widths: [32, 64, 128, 256],
            groups: 8,
            dropout: 0.1,
        }
    }

    /// A quarter of the channels, for runs on a CPU: 1.2 million parameters.
    pub fn narrow(in_channels: usize, classes: usize) -> Self {
        Self {
            widths: [8, 16, 32, 64],
            ..Self::published(in_channels, classes)
        }
    }

    /// Checks that a network of this structure exists and is of a sensible size.
    ///
    /// # Errors
    ///
    /// [`ModelError::Zero`], [`ModelError::NotAMultiple`] (a width that the groups do not divide),
    /// [`ModelError::OutOfRange`] (the dropout) or [`ModelError::TooLarge`] (more than 2^30
    /// parameters).
    pub fn validate(&self) -> Result<(), ModelError> {
        not_zero("in_channels", &[self.in_channels])?;
        not_zero("classes", &[self.classes])?;
        not_zero("widths", &self.widths)?;
        not_zero("groups", &[self.groups])?;
        let uneven = |width: &&usize| !width.is_multiple_of(self.groups);
        if let Some(&found) = self.widths.iter().find(uneven) {
            return Err(ModelError::NotAMultiple {
                what: "widths",
                divisor: self.groups,
                why: "the groups of a normalisation",
                found,
            });
        }
        ChannelDropout::validate("dropout", self.dropout)?;
        affordable(self.parameter_count())
    }

    /// Creates the network on `device` with PyTorch's default initial weights drawn from `seed`; the
    /// dropout in training follows from it as well.
    ///
    /// # Errors
    ///
    /// As [`ConResNetConfig::validate`].
    pub fn init(&self, seed: u64, device: &Device) -> Result<ConResNet, ModelError> {
        self.validate()?;
        let mut rng = WeightRng::new(seed);
        Ok(ConResNet::new(self.clone(), &mut rng, device))
    }

    /// The number of weights and biases of the network, without creating it; saturating.
    pub fn parameter_count(&self) -> u64 {
        let [w0, w1, w2, w3] = self.widths;
        let conv3 = |output| ConvSpec::new([self.in_channels, output], 3).without_bias();
        let head = |width| ConvSpec::new([width, self.classes], 1).parameter_count();
        // The encoder's nine blocks have two convolutions each, then the changes of width.
        let chains = [(w0, 1), (w1, 2), (w2, 2), (w3, 4)];
        let blocks =
            chains.map(|(width, count)| pre_parameters([width; 2]).saturating_mul(2 * count));
        let steps = [[w0, w1], [w1, w2], [w2, w3], [w3, w2]].map(pre_parameters);
        let levels = [[w2, w1], [w1, w0], [w0, w0]].map(level_parameters);
        let residual = [conv3(w1).parameter_count(), pre_parameters([w1, w0])];
        let heads = [head(w0), head(w0), head(w0), head(w1)];
        [&blocks[..], &steps, &levels, &residual, &heads]
            .concat()
            .into_iter()
            .fold(conv3(w0).parameter_count(), u64::saturating_add)
    }
}
