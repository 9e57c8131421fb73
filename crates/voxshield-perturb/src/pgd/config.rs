use burn::tensor::Device;
use serde::{Deserialize, Serialize};
use voxshield_models::{NetworkSpec, Precision, Width};

use super::Recipe;
use crate::{BilevelConfig, Budget, PerturbError, methods::sample_wise};

/// How much work a method takes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// Fewer steps and draws, narrow networks, small patches: minutes on a CPU for some tens of small volumes.
    Compact,
    /// The numbers of the method's source where it has them, the networks and patches of VoxShield's paper.
    Source,
}

impl Scale {
    pub(crate) fn pick<T>(self, source: T, compact: T) -> T {
        match self {
            Self::Source => source,
            Self::Compact => compact,
        }
    }
}

/// Every setting of a sample-wise method; correct by [`validate`](Self::validate).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PgdConfig {
    /// The method's name in [`METHODS`](crate::METHODS).
    pub method: String,
    /// What the method is.
    pub recipe: Recipe,
    /// The bound on `|delta|` in normalised units.
    pub epsilon: f64,
    /// The surrogate's name in [`ARCHITECTURES`](voxshield_models::ARCHITECTURES).
    pub surrogate: String,
    /// How wide it is.
    pub networks: Width,
    /// Rounds of surrogate steps and of one visit to every case; see [`Schedule`](super::Schedule).
    pub rounds: usize,
    /// Surrogate steps a round.
    pub surrogate_steps: usize,
    /// Patches a surrogate step, and windows of a case that are computed together.
    pub batch: usize,
    /// Size of patches and windows `[depth, height, width]` in voxels of the native grid.
    pub patch: [usize; 3],
    /// Adam's step size for the surrogate.
    pub surrogate_rate: f64,
    /// Seed of weights, order, places and draws.
    pub seed: u64,
    /// The type of the surrogate's activations.
    #[serde(default)]
    pub precision: Precision,
    /// Whether activations that are cheap to compute again are not kept for the backward pass.
    #[serde(default)]
    pub checkpointing: bool,
}

impl PgdConfig {
    /// A sample-wise method of [`METHODS`](crate::METHODS) with its own settings.
    ///
    /// # Errors
    /// [`PerturbError::Config`], which lists the known names.
    pub fn new(method: &str, scale: Scale) -> Result<Self, PerturbError> {
        let recipe = sample_wise(method)?(scale);
        let shared = match scale {
            Scale::Compact => BilevelConfig {
                // A visit is several steps on all windows of a case, where a pass of the generator is one on a patch.
                rounds: 10,
                ..BilevelConfig::compact()
            },
            Scale::Source => BilevelConfig::paper(),
        };
        Ok(Self {
            method: method.into(),
            recipe,
            epsilon: shared.epsilon,
            surrogate: shared.surrogate,
            networks: shared.networks,
            rounds: shared.rounds,
            surrogate_steps: shared.surrogate_steps,
            batch: shared.batch,
            patch: shared.patch,
            surrogate_rate: shared.learning_rates.surrogate,
            seed: shared.seed,
            precision: shared.precision,
            checkpointing: shared.checkpointing,
        })
    }

    pub(super) fn surrogate_spec(&self, channels: usize, classes: usize) -> NetworkSpec {
        NetworkSpec {
            patch: self.patch,
            width: self.networks,
            ..NetworkSpec::new(channels, classes)
        }
    }

    /// `device` with autodiff, and gradient checkpointing if it is asked for.
    pub(super) fn training_device(&self, device: &Device) -> Device {
        let tracked = device.clone().autodiff();
        match self.checkpointing {
            true => tracked.gradient_checkpointing(),
            false => tracked,
        }
    }

    /// Checks every setting but the patch size, which the network checks itself.
    ///
    /// # Errors
    /// [`PerturbError::Config`] naming the first setting that is out of range.
    pub fn validate(&self) -> Result<(), PerturbError> {
        Budget::new(self.epsilon)?;
        self.recipe.validate()?;
        let counts = [
            ("rounds", self.rounds),
            ("surrogate steps", self.surrogate_steps),
            ("batch size", self.batch),
        ];
        if let Some((what, _)) = counts.into_iter().find(|(_, count)| *count == 0) {
            return Err(PerturbError::Config {
                what,
                expected: "at least 1".into(),
                found: "0".into(),
            });
        }
        if self.surrogate_rate > 0.0 && self.surrogate_rate <= 1.0 {
            return Ok(());
        }
        Err(PerturbError::Config {
            what: "surrogate learning rate",
            expected: "a number above 0 and at most 1".into(),
            found: self.surrogate_rate.to_string(),
        })
    }
}
