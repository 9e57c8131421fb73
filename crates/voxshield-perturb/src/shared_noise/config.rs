use serde::{Deserialize, Serialize};

use crate::surrogate_config::step_size;
use crate::{PerturbError, SurrogateConfig, Transforms};

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
    /// Budget, surrogate and rounds.
    #[serde(flatten)]
    pub common: SurrogateConfig,
    /// Random changes between the protected patch and the surrogate.
    #[serde(default)]
    pub transforms: Transforms,
}

impl SharedNoiseConfig {
    /// EMN's step size and tiles of 32 voxels a side, without transforms.
    pub fn new(shared_by: SharedBy, common: SurrogateConfig) -> Self {
        Self {
            shared_by,
            tile: [32; 3],
            step_size: 0.1,
            common,
            transforms: Transforms::none(),
        }
    }

    /// Checks every setting but the patch size, which the networks check themselves.
    ///
    /// # Errors
    /// [`PerturbError::Config`] naming the first setting that is out of range.
    pub fn validate(&self) -> Result<(), PerturbError> {
        self.common.validate()?;
        step_size(
            "step size of the noise, as a share of epsilon",
            self.step_size,
        )?;
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
