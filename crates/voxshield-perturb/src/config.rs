use burn::tensor::Device;
use serde::{Deserialize, Serialize};
use voxshield_kernels::IscScaling;
use voxshield_models::{Activation, NoiseGeneratorConfig, ResidualUnetConfig, Width};

use crate::surrogate_config::{at_least_one, step_size};
use crate::{ContourTexture, Generator, GeneratorKind, PerturbError, SurrogateConfig, Transforms};

/// The scaling of the ISC term, without the epsilon that the loop knows already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IscMode {
    /// As the paper computes it; depends on grid and support size.
    Reference,
    /// Divided by its upper bound; means the same on every grid.
    Normalised,
    /// Normalised, on complex spectra: a change of sign from slice to slice counts.
    Phase,
}

/// Every setting of the bilevel loop; correct by [`validate`](Self::validate).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BilevelConfig {
    /// Budget, surrogate and rounds.
    #[serde(flatten)]
    pub common: SurrogateConfig,
    /// What makes the perturbation.
    #[serde(default)]
    pub generator: GeneratorKind,
    /// Further surrogates: round after round, they and the first are trained and asked in turn, so that the noise is fitted to more
    /// than one network. Paper: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub other_surrogates: Vec<String>,
    /// Adam's step size for the noise generator. Paper: 1e-4.
    pub noise_rate: f64,
    /// Weight of ISC.
    pub isc_weight: f64,
    /// Scaling of ISC.
    pub isc_mode: IscMode,
    /// Distances between the slices that ISC compares, `1..=isc_lags`. Paper: 1.
    #[serde(default = "one")]
    pub isc_lags: usize,
    /// Weight of SPD. Paper: 0.05.
    pub spd_weight: f64,
    /// Random changes between the protected patch and the surrogate, in both kinds of steps. Paper: none.
    #[serde(default)]
    pub transforms: Transforms,
    /// Standard deviation in voxels of a Gaussian that smooths the perturbation. Paper: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub band_limit: Option<f64>,
}

fn one() -> usize {
    1
}

impl BilevelConfig {
    /// The paper's setting on 160^3 patches; full networks, ISC in its reference scaling.
    pub fn paper() -> Self {
        Self {
            common: SurrogateConfig::paper(),
            generator: GeneratorKind::Voxshield,
            other_surrogates: Vec::new(),
            noise_rate: 1e-4,
            isc_weight: 0.2,
            isc_mode: IscMode::Reference,
            isc_lags: 1,
            spd_weight: 0.05,
            transforms: Transforms::none(),
            band_limit: None,
        }
    }

    /// Narrow networks on 32^3 patches with the larger step sizes that they need: for a CPU.
    pub fn compact() -> Self {
        Self {
            common: SurrogateConfig::compact(),
            noise_rate: 1e-3,
            isc_weight: 2.0,
            isc_mode: IscMode::Normalised,
            ..Self::paper()
        }
    }

    /// The generator on `device`, drawn from the seed after the surrogate's.
    ///
    /// # Errors
    /// [`PerturbError::Model`] if it cannot be built.
    pub fn init_generator(
        &self,
        channels: usize,
        device: &Device,
    ) -> Result<Generator, PerturbError> {
        let (body, precision) = (self.noise_generator(channels), self.common.precision);
        let seed = self.common.seed.wrapping_add(1);
        Ok(match self.generator {
            GeneratorKind::Voxshield => {
                Generator::Noise(body.init(seed, device)?.with_precision(precision))
            }
            GeneratorKind::Umed3d => {
                Generator::ContourTexture(ContourTexture::new(&body, precision, seed, device)?)
            }
        })
    }

    /// The structure of VoxShield's noise generator for images of `channels`; that of the texture's in `umed3d`.
    pub fn noise_generator(&self, channels: usize) -> NoiseGeneratorConfig {
        let full = NoiseGeneratorConfig {
            band_limit: self.band_limit,
            ..NoiseGeneratorConfig::new(channels, self.common.epsilon)
        };
        match self.common.networks {
            Width::Full => full,
            Width::Narrow => NoiseGeneratorConfig {
                unet: ResidualUnetConfig {
                    res_units: 1,
                    activation: Activation::LeakyRelu(0.01),
                    ..ResidualUnetConfig::narrow(channels, channels)
                },
                ..full
            },
        }
    }

    /// The scaling of the ISC term.
    pub fn isc_scaling(&self) -> IscScaling {
        let epsilon = self.common.epsilon;
        match self.isc_mode {
            IscMode::Reference => IscScaling::Reference,
            IscMode::Normalised => IscScaling::Normalised { epsilon },
            IscMode::Phase => IscScaling::Phase { epsilon },
        }
    }

    /// Checks every setting but the patch size, which the networks check themselves.
    ///
    /// # Errors
    /// [`PerturbError::Config`] naming the first setting that is out of range.
    pub fn validate(&self) -> Result<(), PerturbError> {
        self.common.validate()?;
        at_least_one("ISC lags", self.isc_lags)?;
        step_size("noise learning rate", self.noise_rate)?;
        if let (GeneratorKind::Umed3d, Some(sigma)) = (self.generator, self.band_limit) {
            return Err(PerturbError::Config {
                what: "band limit",
                expected: "none with generators for contour and texture, which it would mix".into(),
                found: sigma.to_string(),
            });
        }
        for (what, weight) in [
            ("ISC weight", self.isc_weight),
            ("SPD weight", self.spd_weight),
        ] {
            if !(weight >= 0.0 && weight.is_finite()) {
                return Err(PerturbError::Config {
                    what,
                    expected: "0 or a positive number".into(),
                    found: weight.to_string(),
                });
            }
        }
        Ok(())
    }
}

impl Default for BilevelConfig {
    fn default() -> Self {
        Self::compact()
    }
}
