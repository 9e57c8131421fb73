use burn::module::Module;
use burn::tensor::{Device, FloatDType, Tensor};
use serde::{Deserialize, Serialize};
use voxshield_kernels::{AxisMap, cast, map_axes};

use crate::{ModelError, NamedParameters, Precision, ResidualUnet, ResidualUnetConfig, Segmenter};

/// The structure of a [`NoiseGenerator`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoiseGeneratorConfig {
    /// The body, with as many output as input channels.
    pub unet: ResidualUnetConfig,
    /// The bound of the perturbation in normalised units, in `(0, 1]`; VoxShield uses 4/255.
    pub epsilon: f64,
    /// Standard deviation in voxels of the Gaussian that smooths the perturbation, so that a blur or a resampling of the
    /// protected volume leaves most of it; `None`, VoxShield's own, for no smoothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub band_limit: Option<f64>,
}

impl NoiseGeneratorConfig {
    /// The largest [`band_limit`](Self::band_limit) in voxels; beyond it a perturbation is a constant for any network.
    pub const MAX_BAND_LIMIT: f64 = 16.0;

    /// The generator of VoxShield, [`ResidualUnetConfig::noise_generator`], bounded by `epsilon`.
    pub fn new(in_channels: usize, epsilon: f64) -> Self {
        Self {
            unet: ResidualUnetConfig::noise_generator(in_channels),
            epsilon,
            band_limit: None,
        }
    }

    /// Checks the body and the bound.
    ///
    /// # Errors
    ///
    /// As [`ResidualUnetConfig::validate`]; [`ModelError::ChannelsDiffer`] if the body's output
    /// has other channels than its input; [`ModelError::OutOfRange`] if `epsilon` is not in
    /// `(0, 1]` or the band limit not in `(0, 16]` voxels.
    pub fn validate(&self) -> Result<(), ModelError> {
        self.unet.validate()?;
        if self.unet.in_channels != self.unet.out_channels {
            return Err(ModelError::ChannelsDiffer {
                in_channels: self.unet.in_channels,
                out_channels: self.unet.out_channels,
            });
        }
        let in_range = |value: f64, most: f64| value > 0.0 && value <= most;
        if !in_range(self.epsilon, 1.0) {
            return Err(ModelError::OutOfRange {
                what: "epsilon",
                expected: "a number in (0, 1], in normalised units",
                found: self.epsilon,
            });
        }
        match self.band_limit {
            Some(sigma) if !in_range(sigma, Self::MAX_BAND_LIMIT) => Err(ModelError::OutOfRange {
                what: "band limit",
                expected: "a number in (0, 16], in voxels",
                found: sigma,
            }),
            _ => Ok(()),
        }
    }

    /// Creates the generator on `device` with weights drawn from `seed`.
    ///
    /// # Errors
    ///
    /// As [`NoiseGeneratorConfig::validate`].
    pub fn init(&self, seed: u64, device: &Device) -> Result<NoiseGenerator, ModelError> {
        self.validate()?;
        Ok(NoiseGenerator {
            unet: self.unet.init(seed, device)?,
            epsilon: self.epsilon,
            band_limit: self.band_limit,
            precision: Precision::F32,
        })
    }
}

/// The network whose output is the perturbation: `delta = epsilon * tanh(unet(x))`, smoothed by a Gaussian where the
/// configuration has a band limit.
///
/// `|delta| <= epsilon` up to float32 rounding (a mean of bounded values is bounded); whoever applies it projects onto the
/// budget.
#[derive(Module, Debug)]
pub struct NoiseGenerator {
    /// The body.
    pub unet: ResidualUnet,
    epsilon: f64,
    #[module(skip)]
    band_limit: Option<f64>,
    #[module(skip)]
    precision: Precision,
}

impl NoiseGenerator {
    /// The generator with activations of another type in its body; what it takes and gives is `f32`.
    #[must_use]
    pub fn with_precision(self, precision: Precision) -> Self {
        Self { precision, ..self }
    }

    /// The perturbation of a batch.
    ///
    /// # Shapes
    ///
    /// `[batch, channel, depth, height, width]`, kept.
    ///
    /// # Panics
    ///
    /// Inside a tensor operation, if [`NoiseGenerator::check_input`] refuses the shape of `x`.
    pub fn forward(&self, x: Tensor<5>) -> Tensor<5> {
        let y = self.unet.forward(cast(x, self.precision.dtype()));
        let delta = cast(y, FloatDType::F32).tanh().mul_scalar(self.epsilon);
        let Some(sigma) = self.band_limit else {
            return delta;
        };
        let [_, _, depth, height, width] = delta.dims();
        let gaussian = |n| AxisMap::gaussian(n, sigma).expect("a validated band limit");
        let maps = [depth, height, width].map(|n| Some(gaussian(n)));
        map_axes(delta, &maps).expect("maps of the perturbation's own lengths")
    }

    /// Checks the shape of an input.
    ///
    /// # Errors
    ///
    /// As [`Segmenter::check_input`].
    pub fn check_input(&self, shape: &[usize; 5]) -> Result<(), ModelError> {
        self.unet.check_input(shape)
    }

    /// The bound of the perturbation, in normalised units.
    pub fn epsilon(&self) -> f64 {
        self.epsilon
    }

    /// The configuration that the generator was created from.
    pub fn config(&self) -> NoiseGeneratorConfig {
        NoiseGeneratorConfig {
            unet: self.unet.config().clone(),
            epsilon: self.epsilon,
            band_limit: self.band_limit,
        }
    }
}

impl NamedParameters for NoiseGenerator {
    fn parameter_name(&self, path: &[String]) -> String {
        match path {
            [body, rest @ ..] => format!("{body}.{}", self.unet.parameter_name(rest)),
            [] => String::new(),
        }
    }
}
