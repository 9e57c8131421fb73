use std::{path::Path, sync::Arc};

use burn::tensor::Device;
use ndarray::Array4;

use super::{
    EVALUATION_REVISION, EvaluateEvent, EvaluateOptions,
    controls::{made_by, written},
    labelled::LabelledSet,
    store::Store,
};
use crate::{
    data::{Case, IntensityRange, sha256_bytes},
    eval::{EvalError, VictimConfig, training::Purifier},
    models::{Network, read_weights, write_weights},
    perturb::{SourceError, TrainingVolume},
    pipeline::{CachedSource, MemoryLimit, PipelineError, PreparedCase},
};

/// The name of the paired purifier among the defences.
pub(super) const PURIFIER: &str = "purifier";

/// What an attacker made of her own clean data with this program: pairs of clean and protected files.
pub(super) struct Pairs {
    pub(super) clean: Arc<LabelledSet>,
    pub(super) protected: LabelledSet,
}

/// The attacker's own clean data; an error if a case of it is in one of the other sets, which would give the purifier its answers.
pub(super) fn attackers_data<'a>(
    root: &Path,
    others: impl IntoIterator<Item = &'a LabelledSet>,
    limit: Option<MemoryLimit>,
) -> Result<Arc<LabelledSet>, PipelineError> {
    let own = LabelledSet::open(root, limit)?;
    for other in others {
        if let Some([other, attacker]) = other.shared_with(&own) {
            return Err(PipelineError::AttackersCaseElsewhere { attacker, other });
        }
    }
    Ok(Arc::new(own))
}

impl Pairs {
    /// Protects the attacker's data, with another seed, as the set under attack was, into the work folder.
    pub(super) fn make(
        clean: &Arc<LabelledSet>,
        target: &LabelledSet,
        options: &EvaluateOptions,
        work: &Path,
        observer: &mut dyn FnMut(EvaluateEvent<'_>),
    ) -> Result<Self, PipelineError> {
        let (_, mut made_with) = made_by(target)?;
        let seed = made_with.method.seed().wrapping_add(1);
        made_with.method.set_seed(seed);
        made_with.device = options.device;
        made_with.surrogate_weights = None;
        made_with.save_generator = None;
        made_with.max_memory = options.max_memory;
        let protected = written(clean, "pairs", &made_with, work, observer)?;
        Ok(Self {
            protected: LabelledSet::open(&protected, options.max_memory)?,
            clean: clean.clone(),
        })
    }

    /// What identifies them.
    pub(super) fn hash(&self) -> &str {
        &self.protected.facts.sha256
    }

    /// Protected image and delta of one case, as channels.
    fn volume(&self, case: &Case) -> Result<TrainingVolume, PipelineError> {
        let twin = self
            .clean
            .case(&case.id)
            .ok_or_else(|| PipelineError::NoCleanTwin {
                id: case.id.clone(),
                dataset: self.clean.dataset.root.clone(),
            })?;
        let protected = PreparedCase::open(&self.protected.dataset, case)?;
        let clean = PreparedCase::open(&self.clean.dataset, twin)?;
        let ranges = self.protected.ranges(case)?;
        let (mut image, clean) = (protected.normalised(ranges), clean.normalised(ranges));
        let delta: Vec<f32> = image.iter().zip(&clean).map(|(p, c)| p - c).collect();
        image.extend(delta);
        let support = vec![1.0; protected.volume.shape().iter().product()];
        let mut volume = protected.training_volume(image, support, &self.protected.classes);
        volume.channels *= 2;
        Ok(volume)
    }
}

/// An attacker's way to take the perturbation of a set away again, case by case, from its files.
pub(super) trait Undo: Sync {
    /// What is added to a case, normalised by the set's `ranges`; `[channel, depth, height, width]`.
    fn change(
        &self,
        case: &Case,
        prepared: &PreparedCase,
        ranges: &[IntensityRange],
    ) -> Result<Vec<f32>, PipelineError>;
}

/// Carries it out on a case of `set` in file units.
pub(super) fn undone(
    undo: &dyn Undo,
    set: &LabelledSet,
    case: &Case,
    prepared: &PreparedCase,
    image: &mut Array4<f32>,
) -> Result<(), PipelineError> {
    let ranges = set.ranges(case)?;
    let changes = undo.change(case, prepared, ranges)?;
    let voxels: usize = prepared.volume.shape().iter().product();
    // Differences only, so that values outside of 0..1 stay what they are.
    for (index, (value, change)) in image.iter_mut().zip(changes).enumerate() {
        *value += change * ranges[index / voxels].width() as f32;
    }
    Ok(())
}

/// A trained purifier for one training set.
pub(super) struct Fitted<'a> {
    purifier: Purifier,
    network: Box<dyn Network>,
    device: &'a Device,
}

impl<'a> Fitted<'a> {
    /// Trains the purifier on the pairs, or takes the weights that an earlier cell trained.
    pub(super) fn new(
        pairs: &Pairs,
        set: &LabelledSet,
        training: &VictimConfig,
        store: &Store,
        device: &'a Device,
    ) -> Result<Self, PipelineError> {
        let purifier = Purifier {
            epsilon: made_by(set)?.0.epsilon,
            width: training.width,
            patch: training.patch,
            batch: training.batch,
            steps: training.steps,
            seed: training.seed,
        };
        let version = env!("CARGO_PKG_VERSION");
        let name = format!(
            "{purifier:?} {} {version} {EVALUATION_REVISION} {device:?}",
            pairs.hash()
        );
        let path = store.weights(&format!("purifier-{}", sha256_bytes(name.as_bytes())));
        let network = match path.exists() {
            true => {
                let weights = read_weights(&path).map_err(EvalError::from)?;
                let network = purifier.init(set.channels, device)?;
                network.with_weights(&weights).map_err(EvalError::from)?
            }
            false => {
                let cases = &pairs.protected.cases;
                let mut source = CachedSource::new(cases.len(), |index| {
                    let volume = pairs.volume(&cases[index]);
                    volume.map_err(|error| Box::new(error) as SourceError)
                });
                let network = purifier.train(&mut source, set.channels, device)?;
                let weights = network.weights().map_err(EvalError::from)?;
                write_weights(&weights, &path).map_err(EvalError::from)?;
                network
            }
        };
        Ok(Self {
            purifier,
            network,
            device,
        })
    }
}

impl Undo for Fitted<'_> {
    fn change(
        &self,
        _: &Case,
        prepared: &PreparedCase,
        ranges: &[IntensityRange],
    ) -> Result<Vec<f32>, PipelineError> {
        let before = prepared.normalised(ranges);
        let mut after = before.clone();
        let shape = prepared.volume.shape();
        self.purifier
            .apply(&*self.network, &mut after, shape, self.device)?;
        Ok(before.iter().zip(&after).map(|(b, a)| a - b).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::fixtures::{open, publish, textured},
        *,
    };

    #[test]
    fn an_attacker_who_has_a_case_of_another_set_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let root = |name: &str, seed| textured(&folder.path().join(name), seed, &[1]);
        let (clean, protected, attacker) = (root("clean", 1), root("protected", 2), root("own", 3));
        publish(&protected, &clean, (0.0, 10.0));
        let others = [&clean, &protected].map(|root| open(root));
        attackers_data(&attacker, &others, None).unwrap();
        // The same voxels, and the file that a case was protected from, which is not at hand.
        for (root, others) in [(&clean, &others[..1]), (&clean, &others[1..])] {
            let Err(error) = attackers_data(root, others, None) else {
                panic!("{root:?} was taken")
            };
            let PipelineError::AttackersCaseElsewhere { attacker, .. } = &error else {
                panic!("{error}")
            };
            let folder = attacker.parent().unwrap();
            assert!(folder.ends_with("clean/images"), "{error}");
        }
    }
}
