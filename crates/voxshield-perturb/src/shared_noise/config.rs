use serde::{Deserialize, Serialize};
use voxshield_models::{Precision, Width};

use crate::{BilevelConfig, PerturbError, Transforms};

/// What shares a tile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SharedBy {
    /// All voxels of the dataset: universal noise.
    Dataset,
    /// The voxels of a label, the background being one: class-wise noise.
    Label,
}

/// Every setting of the optimisation of a [`SharedNoise`](super::SharedNoise).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SharedNoiseConfig {
    /// What shares a tile.
    pub shared_by: SharedBy,
    /// Size of a tile `[depth, height, width]` in voxels. The default is 32 a side, a patch of the compact preset.
    pub tile: [usize; 3],
    /// A step of the noise as a share of epsilon; EMN's is a tenth (0.8/255 of 8/255).
    pub step_size: f64,
    /// The bound on `|delta|` in normalised units.
    pub epsilon: f64,
    /// The surrogate's name in [`ARCHITECTURES`](voxshield_models::ARCHITECTURES).
    pub surrogate: String,
    /// How wide it is.
    pub networks: Width,
    /// Rounds of surrogate steps followed by one pass of noise steps over all cases.
    pub rounds: usize,
    /// Surrogate steps a round.
    pub surrogate_steps: usize,
    /// Patches a step.
    pub batch: usize,
    /// Patch size `[depth, height, width]` in voxels of the native grid.
    pub patch: [usize; 3],
    /// Adam's step size for the surrogate.
    pub surrogate_rate: f64,
    /// Random changes between the protected patch and the surrogate.
    #[serde(default)]
    pub transforms: Transforms,
    /// Seed of weights, order, patch positions and transforms.
    pub seed: u64,
    /// The type of the surrogate's activations.
    #[serde(default)]
    pub precision: Precision,
    /// Whether activations that are cheap to compute again are not kept for the backward pass.
    #[serde(default)]
    pub checkpointing: bool,
}

impl SharedNoiseConfig {
    /// The settings that it has in common with the bilevel loop, from there; EMN's step size and tiles of 32 voxels a side.
    pub fn new(shared_by: SharedBy, common: &BilevelConfig) -> Self {
        Self {
            shared_by,
            tile: [32; 3],
            step_size: 0.1,
            epsilon: common.epsilon,
            surrogate: common.surrogate.clone(),
            networks: common.networks,
            rounds: common.rounds,
            surrogate_steps: common.surrogate_steps,
            batch: common.batch,
            patch: common.patch,
            surrogate_rate: common.learning_rates.surrogate,
            transforms: common.transforms.clone(),
            seed: common.seed,
            precision: common.precision,
            checkpointing: common.checkpointing,
        }
    }

    /// The loop's settings, for what is shared with [`Bilevel`](crate::Bilevel).
    pub(super) fn common(&self) -> BilevelConfig {
        let mut common = BilevelConfig {
            epsilon: self.epsilon,
            surrogate: self.surrogate.clone(),
            networks: self.networks,
            rounds: self.rounds,
            surrogate_steps: self.surrogate_steps,
            batch: self.batch,
            patch: self.patch,
            transforms: self.transforms.clone(),
            seed: self.seed,
            precision: self.precision,
            checkpointing: self.checkpointing,
            ..BilevelConfig::compact()
        };
        common.learning_rates.surrogate = self.surrogate_rate;
        common
    }

    /// Checks every setting but the patch size, which the networks check themselves.
    ///
    /// # Errors
    /// [`PerturbError::Config`] naming the first setting that is out of range.
    pub fn validate(&self) -> Result<(), PerturbError> {
        self.common().validate()?;
        if !(self.step_size > 0.0 && self.step_size <= 1.0) {
            return Err(PerturbError::Config {
                what: "step size of the noise",
                expected: "a share of epsilon above 0 and at most 1".into(),
                found: self.step_size.to_string(),
            });
        }
        if self.tile.iter().any(|side| !(2..=MAX_SIDE).contains(side)) {
            return Err(PerturbError::Config {
                what: "tile",
                expected: format!("2 to {MAX_SIDE} voxels a side"),
                found: format!("{:?}", self.tile),
            });
        }
        Ok(())
    }
}

/// A place in the tiles travels as a `f32`, which counts to 2^24: 128 labels of 32^3 voxels, or 64^3 voxels for 64.
const MAX_SIDE: usize = 128;
