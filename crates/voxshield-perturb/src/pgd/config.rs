use serde::{Deserialize, Serialize};

use super::Recipe;
use crate::{PerturbError, SurrogateConfig, methods::sample_wise};

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
    /// Budget, surrogate and rounds; see [`Schedule`](super::Schedule) for what a round is, and patches are windows of a case as well.
    #[serde(flatten)]
    pub common: SurrogateConfig,
}

impl PgdConfig {
    /// A sample-wise method of [`METHODS`](crate::METHODS) with its own settings.
    ///
    /// # Errors
    /// [`PerturbError::Config`], which lists the known names.
    pub fn new(method: &str, scale: Scale) -> Result<Self, PerturbError> {
        let recipe = sample_wise(method)?(scale);
        let common = match scale {
            Scale::Compact => SurrogateConfig {
                // A visit is several steps on all windows of a case, where a pass of the generator is one on a patch.
                rounds: 10,
                ..SurrogateConfig::compact()
            },
            Scale::Source => SurrogateConfig::paper(),
        };
        Ok(Self {
            method: method.into(),
            recipe,
            common,
        })
    }

    /// Checks every setting but the patch size, which the network checks itself.
    ///
    /// # Errors
    /// [`PerturbError::Config`] naming the first setting that is out of range.
    pub fn validate(&self) -> Result<(), PerturbError> {
        self.common.validate()?;
        self.recipe.validate()
    }
}
