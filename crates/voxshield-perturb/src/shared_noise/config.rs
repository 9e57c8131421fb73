use serde::{Deserialize, Serialize};

use crate::surrogate_config::step_size;
use crate::{PerturbError, Scale, SurrogateConfig, Transforms};

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
    /// Size of a tile `[depth, height, width]` in voxels. The default is 8 a side: a batch of 4 patches of 32^3 voxels has each place 256
    /// times, over which its gradient is averaged. With 32 a side, as it was until November 2026, it has each 4 times, and the signs of
    /// such gradients make a random walk.
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
    /// EMN's step size and tiles of 8 voxels a side, without transforms.
    pub fn new(shared_by: SharedBy, common: SurrogateConfig) -> Self {
        Self {
            shared_by,
            tile: [8; 3],
            step_size: 0.1,
            common,
            transforms: Transforms::none(),
        }
    }

    /// With the settings of a scale: the compact one has 60 rounds, in which the signs of most places have settled (hippocampus, 16/255: a
    /// U-Net has Dice .525 after 20 rounds and .049 after 60).
    pub fn of(shared_by: SharedBy, scale: Scale) -> Self {
        let common = match scale {
            Scale::Compact => SurrogateConfig {
                rounds: 60,
                ..SurrogateConfig::compact()
            },
            Scale::Source => SurrogateConfig::paper(),
        };
        Self::new(shared_by, common)
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
