use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use super::ResidualUnet;
use crate::layers::{last_unit_parameters, residual_unit_parameters, up_conv_parameters};
use crate::{Activation, ModelError, WeightRng};

/// 4 GiB of float32 weights; beyond it a configuration is taken for a mistake.
const MAX_PARAMETERS: u64 = 1 << 30;
/// No volume has an axis this long.
const MAX_TOTAL_STRIDE: usize = 1 << 16;

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
        let zero = |what, values: &[usize]| match values.contains(&0) {
            true => Err(ModelError::Zero { what }),
            false => Ok(()),
        };
        zero("in_channels", &[self.in_channels])?;
        zero("out_channels", &[self.out_channels])?;
        zero("channels", &self.channels)?;
        zero("strides", &self.strides)?;
        if self.channels.len() < 2 {
            return Err(ModelError::TooFewLevels {
                found: self.channels.len(),
            });
        }
        if self.strides.len() != self.channels.len() - 1 {
            return Err(ModelError::StrideCount {
                expected: self.channels.len() - 1,
                found: self.strides.len(),
            });
        }
        self.activation.validate()?;
        if self.total_stride() > MAX_TOTAL_STRIDE {
            return Err(ModelError::StridesTooLarge {
                limit: MAX_TOTAL_STRIDE,
            });
        }
        match self.parameter_count() {
            parameters if parameters > MAX_PARAMETERS => Err(ModelError::TooLarge {
                parameters,
                limit: MAX_PARAMETERS,
            }),
            _ => Ok(()),
        }
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

    /// The number of weights and biases of the network, without creating it; saturating.
    pub fn parameter_count(&self) -> u64 {
        let above = self.levels().map(|level| {
            let encoder = self.unit_parameters([level.input, level.channels], level.stride);
            let decoder = self.decoder_parameters(level);
            encoder.saturating_add(decoder)
        });
        let bottom = match self.channels.as_slice() {
            [.., last, bottom] => self.unit_parameters([*last, *bottom], 1),
            _ => 0,
        };
        above.fold(bottom, u64::saturating_add)
    }

    /// The product of the strides: what every size of an input has to be a multiple of.
    pub fn total_stride(&self) -> usize {
        self.strides.iter().copied().fold(1, usize::saturating_mul)
    }

    /// The levels above the bottom, from the top.
    pub(super) fn levels(&self) -> impl DoubleEndedIterator<Item = Level> {
        let deepest = self
            .strides
            .len()
            .min(self.channels.len().saturating_sub(1));
        (0..deepest).map(move |index| Level {
            top: index == 0,
            input: parent(&self.channels, index).unwrap_or(self.in_channels),
            channels: self.channels[index],
            below: match index + 1 == deepest {
                true => self.channels[index + 1],
                false => self.channels[index],
            },
            output: parent(&self.channels, index).unwrap_or(self.out_channels),
            stride: self.strides[index],
        })
    }

    fn unit_parameters(&self, channels: [usize; 2], stride: usize) -> u64 {
        residual_unit_parameters(channels, stride, self.res_units, self.activation)
    }

    fn decoder_parameters(&self, level: Level) -> u64 {
        let plain = self.res_units == 0;
        let input = level.channels.saturating_add(level.below);
        let activation = (!(level.top && plain)).then_some(self.activation);
        let up = up_conv_parameters([input, level.output], activation);
        let refine = match (plain, level.top) {
            (true, _) => 0,
            (false, true) => last_unit_parameters(level.output),
            (false, false) => residual_unit_parameters([level.output; 2], 1, 1, self.activation),
        };
        up.saturating_add(refine)
    }
}

/// One level above the bottom: its encoder maps `input` to `channels`, its decoder takes these and
/// the `below` channels that come back from the level underneath to `output`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Level {
    pub(super) top: bool,
    pub(super) input: usize,
    pub(super) channels: usize,
    pub(super) below: usize,
    pub(super) output: usize,
    pub(super) stride: usize,
}

fn parent(channels: &[usize], index: usize) -> Option<usize> {
    index.checked_sub(1).map(|above| channels[above])
}
