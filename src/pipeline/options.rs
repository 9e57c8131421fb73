use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{
    DeviceChoice, GeneratorTarget, LabelSource, LabelWeights, MemoryLimit, NormalisationChoice,
    PipelineError, SavedGenerator, Shard,
};
use crate::{
    data::{DataError, Recipients, sha256_file},
    perturb::{
        BilevelConfig, Budget, ClosedForm, PerturbError, PerturbationMethod, PgdConfig,
        RandomNoise, SharedBy, SharedNoiseConfig, Support, SurrogateConfig, TileConfig,
    },
};

/// Where the perturbation comes from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "kebab-case")]
pub enum Method {
    /// The bilevel optimisation of a generator.
    Bilevel(BilevelConfig),
    /// Tiles that all cases share, by error minimisation.
    SharedNoise(SharedNoiseConfig),
    /// A generator, or shared noise, that an earlier run trained and saved.
    SavedGenerator(SavedGenerator),
    /// Noise that learns nothing, as a control.
    Random {
        /// Its distribution.
        noise: RandomNoise,
        /// The bound in normalised units.
        epsilon: f64,
        /// The seed; each case draws from its own stream.
        seed: u64,
    },
    /// A code that needs no training.
    ClosedForm {
        /// Which.
        code: ClosedForm,
        /// The bound in normalised units.
        epsilon: f64,
        /// The seed; the same for all cases.
        seed: u64,
    },
    /// Descent on each case's perturbation, by signed gradients.
    SampleWise(PgdConfig),
}

impl Method {
    /// Its name, for messages.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Bilevel(config) => config.generator.method(),
            Self::SharedNoise(config) => match config.shared_by {
                SharedBy::Dataset => "emn-universal",
                SharedBy::Label => "emn-class",
            },
            Self::SavedGenerator(_) => "saved-generator",
            Self::Random { .. } => "random",
            Self::ClosedForm { code, .. } => code.name(),
            Self::SampleWise(config) => {
                PerturbationMethod::find(&config.method).map_or("sample-wise", |method| method.name)
            }
        }
    }

    /// Budget, surrogate and rounds of a method that is optimised for the dataset.
    pub fn common(&self) -> Option<&SurrogateConfig> {
        match self {
            Self::Bilevel(BilevelConfig { common, .. })
            | Self::SharedNoise(SharedNoiseConfig { common, .. })
            | Self::SampleWise(PgdConfig { common, .. }) => Some(common),
            Self::SavedGenerator(_) | Self::Random { .. } | Self::ClosedForm { .. } => None,
        }
    }

    /// As [`Method::common`], to change it.
    pub fn common_mut(&mut self) -> Option<&mut SurrogateConfig> {
        match self {
            Self::Bilevel(BilevelConfig { common, .. })
            | Self::SharedNoise(SharedNoiseConfig { common, .. })
            | Self::SampleWise(PgdConfig { common, .. }) => Some(common),
            Self::SavedGenerator(_) | Self::Random { .. } | Self::ClosedForm { .. } => None,
        }
    }

    /// The patches `[depth, height, width]` that a network was trained on; zeros where none is.
    pub(super) fn trained_on(&self) -> [usize; 3] {
        match self {
            Self::SavedGenerator(saved) => saved.patch(),
            _ => self.common().map_or([0; 3], |common| common.patch),
        }
    }

    /// The bound on `|delta|` in normalised units.
    pub fn epsilon(&self) -> f64 {
        match self {
            Self::SavedGenerator(saved) => saved.epsilon(),
            Self::Random { epsilon, .. } | Self::ClosedForm { epsilon, .. } => *epsilon,
            Self::Bilevel(BilevelConfig { common, .. })
            | Self::SharedNoise(SharedNoiseConfig { common, .. })
            | Self::SampleWise(PgdConfig { common, .. }) => common.epsilon,
        }
    }

    /// The seed of every draw.
    pub fn seed(&self) -> u64 {
        match self {
            Self::SavedGenerator(saved) => saved.seed(),
            Self::Random { seed, .. } | Self::ClosedForm { seed, .. } => *seed,
            Self::Bilevel(BilevelConfig { common, .. })
            | Self::SharedNoise(SharedNoiseConfig { common, .. })
            | Self::SampleWise(PgdConfig { common, .. }) => common.seed,
        }
    }

    /// The same method with another seed; of a saved generator, the training of another one.
    pub(super) fn set_seed(&mut self, to: u64) {
        match self {
            Self::SavedGenerator(saved) => *self = saved.trained_with(to),
            Self::Random { seed, .. } | Self::ClosedForm { seed, .. } => *seed = to,
            Self::Bilevel(BilevelConfig { common, .. })
            | Self::SharedNoise(SharedNoiseConfig { common, .. })
            | Self::SampleWise(PgdConfig { common, .. }) => common.seed = to,
        }
    }
}

/// A file of weights that the surrogate starts from.
///
/// The manifest keeps its hash, not its path: a path says things about the owner's machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SurrogateWeights {
    #[serde(skip)]
    pub(super) path: PathBuf,
    sha256: String,
}

impl SurrogateWeights {
    /// A safetensors file, or a PyTorch checkpoint of the surrogate's network: see
    /// [`read_weights`](crate::models::read_weights).
    ///
    /// # Errors
    /// [`PipelineError::Data`] if the file cannot be read.
    pub fn open(path: &Path) -> Result<Self, PipelineError> {
        Ok(Self {
            path: path.to_path_buf(),
            sha256: sha256_file(path)?,
        })
    }
}

/// Every choice of a [`protect`](super::protect) run; stored in the manifest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProtectOptions {
    /// Where the perturbation comes from.
    pub method: Method,
    /// Where it may be. The default is [`Support::Roi`], which is right for the default method; others were measured elsewhere and
    /// do next to nothing there: [`ProtectOptions::of`] knows where.
    pub support: Support,
    /// Where labels come from.
    #[serde(default)]
    pub labels: LabelSource,
    /// The share of epsilon that each label may use.
    #[serde(default, skip_serializing_if = "LabelWeights::is_empty")]
    pub label_weights: LabelWeights,
    /// How intensities are normalised.
    pub normalisation: NormalisationChoice,
    /// How large volumes are cut for the generator.
    pub tiles: TileConfig,
    /// What the surrogate starts from; its own seed if `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub surrogate_weights: Option<SurrogateWeights>,
    /// Where the trained generator is saved, for cases that come later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub save_generator: Option<GeneratorTarget>,
    /// Who can restore the originals; nobody if empty. Not in the manifest.
    #[serde(skip)]
    pub unlock_to: Recipients,
    /// Whether to go on where an earlier run of the same options was interrupted. Not in the manifest.
    #[serde(skip)]
    pub resume: bool,
    /// Write only these cases, without a manifest; when all shards are done, a run with `resume` and without this completes the
    /// output. Not in the manifest.
    #[serde(skip)]
    pub shard: Option<Shard>,
    /// The most memory that the work on one case may take; [`MemoryLimit::of_machine`] if `None`. A case that needs more fails before it
    /// takes any. Not in the manifest.
    #[serde(skip)]
    pub max_memory: Option<MemoryLimit>,
    /// What to compute on.
    #[serde(skip)]
    pub device: DeviceChoice,
}

impl Default for ProtectOptions {
    fn default() -> Self {
        Self {
            method: Method::Bilevel(BilevelConfig::compact()),
            support: Support::Roi,
            labels: LabelSource::Files,
            label_weights: LabelWeights::default(),
            normalisation: NormalisationChoice::Auto,
            // The patch is the method's.
            tiles: TileConfig::new([0; 3]),
            surrogate_weights: None,
            save_generator: None,
            unlock_to: Recipients::default(),
            resume: false,
            shard: None,
            max_memory: None,
            device: DeviceChoice::Cpu,
        }
    }
}

impl ProtectOptions {
    /// These options with a saved generator as their method, and support, labels, label weights and normalisation as in its training.
    #[must_use]
    pub fn with_generator(self, generator: SavedGenerator) -> Self {
        Self {
            support: generator.support(),
            labels: generator.labels(),
            label_weights: generator.label_weights().clone(),
            normalisation: generator.normalisation(),
            method: Method::SavedGenerator(generator),
            ..self
        }
    }

    /// Checks the method's settings.
    ///
    /// # Errors
    /// [`PipelineError::Perturb`] naming the setting that is out of range, [`PipelineError::GeneratorMismatch`] if a saved generator
    /// was trained otherwise, [`PipelineError::OptionWithoutMeaning`] for one to be saved by a method that trains none,
    /// [`PipelineError::PathUnknown`] for a file of a manifest's options.
    pub fn validate(&self) -> Result<(), PipelineError> {
        if self.shard.is_some() && self.method.common().is_some() {
            return Err(PerturbError::Config {
                what: "shards",
                expected: "a method that needs no training: save a generator once, and shard its application".into(),
                found: self.method.name().into(),
            }
            .into());
        }
        match &self.method {
            Method::Bilevel(config) => config.validate()?,
            Method::SharedNoise(config) => config.validate()?,
            Method::SavedGenerator(saved) => saved.check(self)?,
            Method::SampleWise(config) => config.validate()?,
            Method::Random { noise, epsilon, .. } => {
                noise.sample(Budget::new(*epsilon)?, 1, 0, 0)?;
            }
            Method::ClosedForm { epsilon, .. } => {
                Budget::new(*epsilon)?;
            }
        }
        let can_be_saved = matches!(self.method, Method::Bilevel(_) | Method::SharedNoise(_));
        if self.save_generator.is_some() && !can_be_saved {
            return Err(PipelineError::OptionWithoutMeaning {
                option: "--save-generator",
                method: self.method.name(),
                hint: "only `voxshield`, `umed3d`, `emn-universal` and `emn-class` train something that protects later cases",
            });
        }
        if let Some(what) = self.without_path() {
            return Err(PipelineError::PathUnknown { what });
        }
        self.labels.validate()?;
        self.support.validate()?;
        Ok(())
    }

    /// A file of which nothing but the hash is known.
    fn without_path(&self) -> Option<&'static str> {
        let method = match &self.method {
            Method::SavedGenerator(saved) => Some(saved.path()),
            _ => None,
        };
        let weights = self.surrogate_weights.as_ref();
        let target = self.save_generator.as_ref();
        let files = [
            ("the saved generator", method),
            ("the surrogate's weights", weights.map(|file| &*file.path)),
            (
                "the file of the generator",
                target.map(GeneratorTarget::path),
            ),
        ];
        let mut files = files.into_iter();
        let empty = files.find(|(_, path)| path.is_some_and(|path| path.as_os_str().is_empty()));
        empty.map(|(what, _)| what)
    }

    /// The options as the manifest stores them.
    pub(super) fn to_json(&self) -> serde_json::Value {
        // The types have no map with non-string keys and no failing serialiser.
        serde_json::to_value(self).unwrap_or_default()
    }

    /// The options that a manifest was written with. It keeps no paths, only hashes: with a saved generator, weights of the surrogate or a
    /// generator to be saved they describe the run, but cannot be run again before that file is opened anew
    /// ([`PipelineError::PathUnknown`]). Device, memory, recipients and what else is not in the manifest are the default's.
    ///
    /// # Errors
    /// [`PipelineError::Data`] if the manifest's method is not one that this version knows.
    pub fn from_manifest(
        manifest: &crate::data::Manifest,
        path: &Path,
    ) -> Result<Self, PipelineError> {
        serde_json::from_value(manifest.method.clone()).map_err(|error| {
            PipelineError::Data(DataError::Json {
                path: path.to_path_buf(),
                reason: format!("the method is not one that this version knows: {error}"),
            })
        })
    }
}

#[cfg(test)]
mod tests;
