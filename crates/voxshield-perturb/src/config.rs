use burn::tensor::Device;
use serde::{Deserialize, Serialize};
use voxshield_kernels::IscScaling;
use voxshield_models::{
    Activation, NetworkSpec, NoiseGeneratorConfig, Precision, ResidualUnetConfig, Width,
};

use crate::{Budget, PerturbError, Transforms};

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

/// Adam's step sizes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LearningRates {
    /// Of the surrogate (S-step).
    pub surrogate: f64,
    /// Of the noise generator (N-step).
    pub noise: f64,
}

/// Every setting of the bilevel loop; correct by [`validate`](Self::validate).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BilevelConfig {
    /// The bound on `|delta|` in normalised units. Paper: 4/255.
    pub epsilon: f64,
    /// The surrogate's name in [`ARCHITECTURES`](voxshield_models::ARCHITECTURES). Paper:
    /// `residual-unet`.
    pub surrogate: String,
    /// Further surrogates: round after round, they and the first are trained and asked in turn, so that the noise is fitted to more
    /// than one network. Paper: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub other_surrogates: Vec<String>,
    /// How wide surrogate and generator are. Paper: full, that is 32-64-128-256-512 and
    /// 16-32-64-128 channels.
    pub networks: Width,
    /// Rounds of S-steps followed by one N-pass over all cases. Paper: 100.
    pub rounds: usize,
    /// S-steps a round. Paper: 10.
    pub surrogate_steps: usize,
    /// Patches a step. Paper: 8.
    pub batch: usize,
    /// Patch size `[depth, height, width]` in voxels of the native grid.
    pub patch: [usize; 3],
    /// Adam's step sizes. Paper: 5e-4 and 1e-4.
    pub learning_rates: LearningRates,
    /// Weight of ISC.
    pub isc_weight: f64,
    /// Scaling of ISC.
    pub isc_mode: IscMode,
    /// Distances between the slices that ISC compares, `1..=isc_lags`. Paper: 1.
    #[serde(default = "one")]
    pub isc_lags: usize,
    /// Weight of SPD. Paper: 0.05.
    pub spd_weight: f64,
    /// Seed of weights, order and patch positions.
    pub seed: u64,
    /// Random changes between the protected patch and the surrogate, in both kinds of steps. Paper: none.
    #[serde(default)]
    pub transforms: Transforms,
    /// Standard deviation in voxels of a Gaussian that smooths the perturbation. Paper: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub band_limit: Option<f64>,
    /// The type of the networks' activations. Paper: f32.
    #[serde(default)]
    pub precision: Precision,
    /// Whether activations that are cheap to compute again are not kept for the backward pass.
    #[serde(default)]
    pub checkpointing: bool,
}

fn one() -> usize {
    1
}

impl BilevelConfig {
    /// The paper's setting on 160^3 patches; full networks, ISC in its reference scaling.
    pub fn paper() -> Self {
        Self {
            epsilon: 4.0 / 255.0,
            surrogate: "residual-unet".into(),
            other_surrogates: Vec::new(),
            networks: Width::Full,
            rounds: 100,
            surrogate_steps: 10,
            batch: 8,
            patch: [160; 3],
            learning_rates: LearningRates {
                surrogate: 5e-4,
                noise: 1e-4,
            },
            isc_weight: 0.2,
            isc_mode: IscMode::Reference,
            isc_lags: 1,
            spd_weight: 0.05,
            seed: 0,
            transforms: Transforms::none(),
            band_limit: None,
            precision: Precision::F32,
            checkpointing: false,
        }
    }

    /// Narrow networks on 32^3 patches with the larger step sizes that they need: for a CPU.
    pub fn compact() -> Self {
        Self {
            networks: Width::Narrow,
            rounds: 20,
            batch: 4,
            patch: [32; 3],
            learning_rates: LearningRates {
                surrogate: 3e-3,
                noise: 1e-3,
            },
            isc_weight: 2.0,
            isc_mode: IscMode::Normalised,
            ..Self::paper()
        }
    }

    /// What the surrogate is built for: images of `channels` and `classes` (background included).
    pub fn surrogate_spec(&self, channels: usize, classes: usize) -> NetworkSpec {
        NetworkSpec {
            patch: self.patch,
            width: self.networks,
            ..NetworkSpec::new(channels, classes)
        }
    }

    /// The noise generator for images of `channels`.
    pub fn generator(&self, channels: usize) -> NoiseGeneratorConfig {
        let full = NoiseGeneratorConfig {
            band_limit: self.band_limit,
            ..NoiseGeneratorConfig::new(channels, self.epsilon)
        };
        match self.networks {
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

    /// `device` with autodiff, and gradient checkpointing if it is asked for.
    pub fn training_device(&self, device: &Device) -> Device {
        let tracked = device.clone().autodiff();
        match self.checkpointing {
            true => tracked.gradient_checkpointing(),
            false => tracked,
        }
    }

    /// The scaling of the ISC term.
    pub fn isc_scaling(&self) -> IscScaling {
        match self.isc_mode {
            IscMode::Reference => IscScaling::Reference,
            IscMode::Normalised => IscScaling::Normalised {
                epsilon: self.epsilon,
            },
            IscMode::Phase => IscScaling::Phase {
                epsilon: self.epsilon,
            },
        }
    }

    /// Checks every setting but the patch size, which the networks check themselves.
    ///
    /// # Errors
    /// [`PerturbError::Config`] naming the first setting that is out of range.
    pub fn validate(&self) -> Result<(), PerturbError> {
        Budget::new(self.epsilon)?;
        let config = |what, expected: &str, found: String| PerturbError::Config {
            what,
            expected: expected.into(),
            found,
        };
        let counts = [
            ("rounds", self.rounds),
            ("surrogate steps", self.surrogate_steps),
            ("batch size", self.batch),
            ("ISC lags", self.isc_lags),
        ];
        for (what, count) in counts {
            if count == 0 {
                return Err(config(what, "at least 1", "0".into()));
            }
        }
        let rates = [
            ("surrogate learning rate", self.learning_rates.surrogate),
            ("noise learning rate", self.learning_rates.noise),
        ];
        for (what, rate) in rates {
            if !(rate > 0.0 && rate <= 1.0) {
                return Err(config(
                    what,
                    "a number above 0 and at most 1",
                    rate.to_string(),
                ));
            }
        }
        for (what, weight) in [
            ("ISC weight", self.isc_weight),
            ("SPD weight", self.spd_weight),
        ] {
            if !(weight >= 0.0 && weight.is_finite()) {
                return Err(config(what, "0 or a positive number", weight.to_string()));
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
