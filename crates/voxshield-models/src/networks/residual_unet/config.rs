use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use super::ResidualUnet;
use crate::networks::limits::{affordable, levels, not_zero, total_stride};
use crate::{Activation, ModelError, WeightRng};

/// The structure of a [`ResidualUnet`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResidualUnetConfig {
    /// Channels of the input: 1 for CT or one MRI sequence, 4 for BraTS.
    pub in_channels: usize,
    /// Channels of the output: the classes, background included.
    pub out_channels: usize,
    /// Channels of each level from the top to the bottom, at least 2 levels.
    pub channels: Vec<usize>,
    /// Down-sampling between the levels, one less than `channels`; the same for all three axes.
    pub strides: Vec<usize>,
    /// Convolutions in each residual unit of the encoder; 0 for a plain U-Net without them.
    pub res_units: usize,
    /// The activation after every normalisation.
    pub activation: Activation,
}

impl ResidualUnetConfig {
    /// The surrogate of VoxShield: 32-64-128-256-512 channels, strides 2, 2 residual units, ReLU.
    ///
    /// Sizes have to be multiples of 16, 32 at least; 19.2 million parameters.
    pub fn surrogate(in_channels: usize, classes: usize) -> Self {
        Self {
            in_channels,
            out_channels: classes,
            channels: vec![32, 64, 128, 256, 512],
            strides: vec![2; 4],
            res_units: 2,
            activation: Activation::Relu,
        }
    }

    /// The noise generator's body: 16-32-64-128 channels, strides 2, 1 residual unit, leaky ReLU
    /// with slope 0.01, as many output as input channels.
    ///
    /// Sizes have to be multiples of 8; 0.6 million parameters.
    pub fn noise_generator(in_channels: usize) -> Self {
        Self {
            in_channels,
            out_channels: in_channels,
            channels: vec![16, 32, 64, 128],
            strides: vec![2; 3],
            res_units: 1,
            activation: Activation::LeakyRelu(0.01),
        }
    }

    /// A small network for small volumes and quick runs on a CPU: 8-16-32 channels, strides 2,
    /// 2 residual units, ReLU.
    ///
    /// Sizes have to be multiples of 4.
    pub fn narrow(in_channels: usize, classes: usize) -> Self {
        Self {
            in_channels,
            out_channels: classes,
            channels: vec![8, 16, 32],
            strides: vec![2; 2],
            res_units: 2,
            activation: Activation::Relu,
        }
    }

    /// Checks that a network of this structure exists and is of a sensible size.
    ///
    /// # Errors
    ///
    /// [`ModelError::Zero`], [`ModelError::TooFewLevels`], [`ModelError::StrideCount`],
    /// [`ModelError::StridesTooLarge`], [`ModelError::OutOfRange`] (a leaky ReLU's slope) or
    /// [`ModelError::TooLarge`] (more than 2^30 parameters).
    pub fn validate(&self) -> Result<(), ModelError> {
        not_zero("in_channels", &[self.in_channels])?;
        not_zero("out_channels", &[self.out_channels])?;
        not_zero("channels", &self.channels)?;
        not_zero("strides", &self.strides)?;
        levels(&self.channels, &self.strides)?;
        self.activation.validate()?;
        affordable(self.parameter_count())
    }

    /// Creates the network on `device` with PyTorch's default initial weights drawn from `seed`.
    ///
    /// Equal seeds give equal weights, whatever the device. On an autodiff device the weights
    /// record gradients.
    ///
    /// # Errors
    ///
    /// As [`ResidualUnetConfig::validate`].
    pub fn init(&self, seed: u64, device: &Device) -> Result<ResidualUnet, ModelError> {
        self.validate()?;
        let mut rng = WeightRng::new(seed);
        Ok(ResidualUnet::new(self.clone(), &mut rng, device))
    }

    /// The product of the strides: what every size of an input has to be a multiple of.
    pub fn total_stride(&self) -> usize {
        total_stride(&self.strides)
    }
}
