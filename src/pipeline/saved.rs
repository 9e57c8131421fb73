use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use burn::{
    module::Module,
    tensor::{Device, TensorData},
};
use serde::{Deserialize, Serialize};

use super::{
    LabelSource, LabelWeights, Method, NormalisationChoice, PipelineError, ProtectOptions, Scanned,
    protect::Origin,
};
use crate::{
    data::{Normalisation, sha256_file},
    models::{
        TensorMap, load_parameters, parameters, read_description, read_weights,
        write_described_weights,
    },
    perturb::{
        BilevelConfig, Generator, PerturbError, SharedBy, SharedNoise, SharedNoiseConfig, Support,
    },
};

/// What a saved generator was trained for; travels in the file's metadata.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    format: u32,
    /// The program's version.
    version: String,
    channels: usize,
    support: Support,
    labels: LabelSource,
    #[serde(default, skip_serializing_if = "LabelWeights::is_empty")]
    label_weights: LabelWeights,
    normalisation: NormalisationChoice,
    content: Content,
}

impl Description {
    fn of(
        options: &ProtectOptions,
        normalisation: NormalisationChoice,
        channels: usize,
        content: Content,
    ) -> Self {
        Self {
            format: FORMAT,
            version: env!("CARGO_PKG_VERSION").into(),
            channels,
            support: options.support,
            labels: options.labels,
            label_weights: options.label_weights.clone(),
            normalisation,
            content,
        }
    }

    fn write(&self, tensors: &TensorMap, path: &Path) -> Result<(), PipelineError> {
        // The types have no map with non-string keys and no failing serialiser.
        let text = serde_json::to_string(self).unwrap_or_default();
        Ok(write_described_weights(tensors, &text, path).map_err(PerturbError::from)?)
    }
}

/// What the tensors of the file are, and how they were trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Content {
    Generator(BilevelConfig),
    SharedNoise {
        config: SharedNoiseConfig,
        /// Label values of the dataset, in order.
        labels: Vec<u16>,
    },
}

const FORMAT: u32 = 3;
/// The name of shared noise among the file's tensors.
const NOISE: &str = "noise";

/// A noise generator, or noise that all cases share, that an earlier run trained, in a file: new cases are protected in one pass,
/// without training.
///
/// The manifest keeps the file's hash, not its path.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SavedGenerator {
    #[serde(skip)]
    path: PathBuf,
    sha256: String,
    description: Description,
}

impl SavedGenerator {
    /// Writes a generator of a training of your own, such as [`Bilevel`](crate::perturb::Bilevel) with further
    /// [`Term`](crate::perturb::Term)s or another surrogate, to a file that [`Method::SavedGenerator`] protects folders with; see the
    /// example `custom_loss`. A file that is there already is replaced.
    ///
    /// `trained` says for what: its method is [`Method::Bilevel`] with the configuration of the training; support, labels, label weights
    /// and normalisation are those of the `channels` and volumes that were trained on. Say a window of CT
    /// ([`NormalisationChoice::Window`]), since the file has no statistics of the training set. Neither has it terms or a surrogate of
    /// your own.
    ///
    /// # Errors
    /// [`PipelineError::Perturb`] for another method, a generator of another configuration or a file that cannot be written, and those
    /// of [`ProtectOptions::validate`].
    pub fn save(
        path: &Path,
        generator: &Generator,
        channels: usize,
        trained: &ProtectOptions,
    ) -> Result<Self, PipelineError> {
        trained.validate()?;
        let Method::Bilevel(config) = &trained.method else {
            return Err(PipelineError::Perturb(PerturbError::Config {
                what: "method of a generator",
                expected: "the configuration of its training (Method::Bilevel)".into(),
                found: trained.method.name().into(),
            }));
        };
        let tensors = parameters(generator).map_err(PerturbError::from)?;
        // Fits, or whoever opens the file could not use it.
        let device = generator.devices().into_iter().next().unwrap_or_default();
        let own = config.init_generator(channels, &device.without_autodiff())?;
        load_parameters(own, &tensors).map_err(PerturbError::from)?;
        let content = Content::Generator(config.clone());
        let description = Description::of(trained, trained.normalisation, channels, content);
        description.write(&tensors, path)?;
        Self::open(path)
    }

    /// Opens a file that [`protect`](super::protect) wrote with [`ProtectOptions::save_generator`], or [`SavedGenerator::save`].
    ///
    /// # Errors
    /// [`PipelineError::NotAGenerator`] if it is something else, [`PipelineError::Perturb`] if it cannot be read.
    pub fn open(path: &Path) -> Result<Self, PipelineError> {
        let not = |reason: String| PipelineError::NotAGenerator {
            path: path.to_path_buf(),
            reason,
        };
        let text = read_description(path)
            .map_err(|error| not(error.to_string()))?
            .ok_or_else(|| not("it has weights, but not what they were trained for".into()))?;
        let description: Description =
            serde_json::from_str(&text).map_err(|error| not(error.to_string()))?;
        if description.format != FORMAT {
            return Err(not(format!(
                "format {} instead of {FORMAT}: another version of the program wrote it",
                description.format
            )));
        }
        Ok(Self {
            path: path.to_path_buf(),
            sha256: sha256_file(path)?,
            description,
        })
    }

    /// Where it is; empty where a manifest is all that is known.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The bound that it was trained with, in normalised units.
    pub fn epsilon(&self) -> f64 {
        match &self.description.content {
            Content::Generator(config) => config.common.epsilon,
            Content::SharedNoise { config, .. } => config.common.epsilon,
        }
    }

    /// The patches that it was trained on, `[depth, height, width]`.
    pub(super) fn patch(&self) -> [usize; 3] {
        match &self.description.content {
            Content::Generator(config) => config.common.patch,
            Content::SharedNoise { config, .. } => config.common.patch,
        }
    }

    /// The seed that it was trained with.
    pub fn seed(&self) -> u64 {
        match &self.description.content {
            Content::Generator(config) => config.common.seed,
            Content::SharedNoise { config, .. } => config.common.seed,
        }
    }

    /// Where the labels came from that it was trained with.
    pub fn labels(&self) -> LabelSource {
        self.description.labels
    }

    /// The share of epsilon that each label had when it was trained.
    pub fn label_weights(&self) -> &LabelWeights {
        &self.description.label_weights
    }

    /// The method that trains another one alike, from another seed.
    pub(super) fn trained_with(&self, seed: u64) -> Method {
        let mut method = match self.description.content.clone() {
            Content::Generator(config) => Method::Bilevel(config),
            Content::SharedNoise { config, .. } => Method::SharedNoise(config),
        };
        method.set_seed(seed);
        method
    }

    /// The support that it was trained in.
    pub fn support(&self) -> Support {
        self.description.support
    }

    /// The normalisation that it was trained with; for CT of one channel the training set's window, so that new cases are scaled
    /// alike.
    pub fn normalisation(&self) -> NormalisationChoice {
        self.description.normalisation
    }

    /// Checks that a caller who asks for a bound asks for the generator's.
    ///
    /// # Errors
    /// [`PipelineError::GeneratorMismatch`] for another one.
    pub fn expect_epsilon(&self, epsilon: f64) -> Result<(), PipelineError> {
        match self.epsilon() {
            own if own == epsilon => Ok(()),
            own => Err(mismatch("epsilon", own, epsilon)),
        }
    }

    /// Checks that a run uses the generator as it was trained.
    ///
    /// # Errors
    /// [`PipelineError::GeneratorMismatch`] naming the first setting that differs.
    pub(super) fn check(&self, options: &ProtectOptions) -> Result<(), PipelineError> {
        let (ours, theirs) = (self.support(), options.support);
        if ours != theirs {
            let text = |support: Support| format!("{support:?}").to_lowercase();
            return Err(mismatch("the support", text(ours), text(theirs)));
        }
        let (ours, theirs) = (self.labels(), options.labels);
        if ours != theirs {
            return Err(mismatch("labels from", ours, theirs));
        }
        let (ours, theirs) = (self.label_weights(), &options.label_weights);
        if ours != theirs {
            let text = |weights: &LabelWeights| match weights.is_empty() {
                true => "none".to_owned(),
                false => weights.to_string(),
            };
            return Err(mismatch("label weights", text(ours), text(theirs)));
        }
        let (ours, theirs) = (self.normalisation(), options.normalisation);
        if ours != theirs {
            return Err(mismatch("the normalisation", ours, theirs));
        }
        Ok(())
    }

    /// Checks that there is noise for every label of a case.
    ///
    /// # Errors
    /// [`PipelineError::GeneratorMismatch`] if noise by label was trained without one of them: its voxels would stay as they are.
    pub(super) fn check_labels(&self, found: &BTreeSet<u16>) -> Result<(), PipelineError> {
        match &self.description.content {
            Content::SharedNoise { config, labels } if config.shared_by == SharedBy::Label => {
                match found.iter().find(|label| !labels.contains(label)) {
                    Some(label) => Err(mismatch("the labels", join(labels), label)),
                    None => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }

    /// The perturbations of a dataset of `channels`.
    ///
    /// # Errors
    /// [`PipelineError::GeneratorMismatch`] for other channels, [`PipelineError::NotAGenerator`] if the file has changed or is gone,
    /// [`PipelineError::Perturb`] for weights of another network.
    pub(super) fn load(&self, channels: usize, device: &Device) -> Result<Origin, PipelineError> {
        let trained = self.description.channels;
        if trained != channels {
            return Err(mismatch("channels:", trained, channels));
        }
        if self.path.as_os_str().is_empty() || sha256_file(&self.path)? != self.sha256 {
            return Err(PipelineError::NotAGenerator {
                path: self.path.clone(),
                reason: format!("its SHA-256 is not {}", self.sha256),
            });
        }
        let tensors = read_weights(&self.path).map_err(PerturbError::from)?;
        Ok(match &self.description.content {
            Content::Generator(config) => {
                let generator = config.init_generator(channels, device)?;
                let generator = load_parameters(generator, &tensors).map_err(PerturbError::from)?;
                Origin::Learned(Box::new(generator))
            }
            Content::SharedNoise { config, labels } => {
                let values = tensors.get(NOISE).map(|data| data.iter::<f32>().collect());
                let noise = SharedNoise::zeros(config, channels, labels)?;
                Origin::Shared(noise.with_values(values.unwrap_or_default())?)
            }
        })
    }
}

fn join(labels: &[u16]) -> String {
    let labels: Vec<String> = labels.iter().map(u16::to_string).collect();
    labels.join(", ")
}

fn mismatch(what: &'static str, expected: impl ToString, found: impl ToString) -> PipelineError {
    PipelineError::GeneratorMismatch {
        what,
        expected: expected.to_string(),
        found: found.to_string(),
    }
}

/// A file that a trained generator goes to; the manifest keeps its hash, not its path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GeneratorTarget {
    #[serde(skip)]
    path: PathBuf,
    /// Of the written file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
}

impl GeneratorTarget {
    /// The file to write; one that is there already is replaced.
    pub fn new(path: &Path) -> Self {
        Self {
            path: path.to_path_buf(),
            sha256: None,
        }
    }

    /// Where it goes.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes what was trained with what it was trained for, and remembers the hash.
    pub(super) fn write(
        &mut self,
        origin: &Origin,
        options: &ProtectOptions,
        scanned: &Scanned,
    ) -> Result<(), PipelineError> {
        let (tensors, content) = match (origin, &options.method) {
            (Origin::Learned(generator), Method::Bilevel(config)) => (
                parameters(&**generator).map_err(PerturbError::from)?,
                Content::Generator(config.clone()),
            ),
            (Origin::Shared(noise), Method::SharedNoise(config)) => {
                let shape = [noise.channels(), noise.places()];
                let values = TensorData::new(noise.values().to_vec(), shape);
                let content = Content::SharedNoise {
                    config: config.clone(),
                    labels: scanned.classes.clone(),
                };
                (TensorMap::from([(NOISE.to_owned(), values)]), content)
            }
            // Other methods are refused before the work begins.
            _ => return Ok(()),
        };
        let normalisation = for_later_cases(options.normalisation, scanned);
        let description = Description::of(options, normalisation, scanned.channels, content);
        description.write(&tensors, &self.path)?;
        self.sha256 = Some(sha256_file(&self.path)?);
        Ok(())
    }
}

/// The choice that gives a later case the range that it would have had in this dataset.
fn for_later_cases(choice: NormalisationChoice, scanned: &Scanned) -> NormalisationChoice {
    match (&scanned.normalisation[..], scanned.cases.first()) {
        ([record], Some(case)) if matches!(record.normalisation, Normalisation::Ct(_)) => {
            let range = case.ranges[0];
            NormalisationChoice::Window {
                lo: range.lo,
                hi: range.hi,
            }
        }
        _ => choice,
    }
}
