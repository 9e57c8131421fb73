use ndarray::Array3;
use rand::{SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;

use super::{
    countermeasure::Countermeasure,
    labelled::LabelledSet,
    preprocess::Preprocessor,
    purify::{Undo, undone},
};
use crate::{
    data::Case,
    eval::training::{CleanCases, VolumeFilter},
    perturb::{SourceError, TrainingVolume},
    pipeline::{CachedSource, PipelineError, PreparedCase, case::case_seed},
};

/// Preprocessed volumes are kept up to this many bytes: defences and splines cost more than reading.
const CACHE_BYTES: usize = 2 << 30;

/// How a victim reads its training cases.
pub(super) struct Reading<'a> {
    pub(super) preprocessor: &'a Preprocessor,
    pub(super) countermeasure: &'a Countermeasure,
    /// The labels that are classes, in order.
    pub(super) classes: &'a [u16],
    pub(super) seed: u64,
    /// What takes the perturbation away, where that is the countermeasure.
    pub(super) undo: Option<&'a dyn Undo>,
}

impl Reading<'_> {
    /// Patches of these cases, through the countermeasure, the preprocessing and the filter.
    pub(super) fn source<'b>(
        &'b self,
        cases: &'b [(&'b LabelledSet, &'b Case)],
        filter: Option<&'b dyn VolumeFilter>,
    ) -> CachedSource<'b> {
        let load = move |index: usize| {
            let (set, case) = cases[index];
            self.load(set, case, filter)
        };
        CachedSource::new(cases.len(), load)
            .with_cache_bytes(CACHE_BYTES)
            .with_foreground(self.preprocessor.foreground_thirds())
    }

    /// A case through the countermeasure, the preprocessing and the filter.
    pub(super) fn load(
        &self,
        set: &LabelledSet,
        case: &Case,
        filter: Option<&dyn VolumeFilter>,
    ) -> Result<TrainingVolume, SourceError> {
        self.volume(set, case, filter)
            .map_err(|error| Box::new(error) as SourceError)
    }

    fn volume(
        &self,
        set: &LabelledSet,
        case: &Case,
        filter: Option<&dyn VolumeFilter>,
    ) -> Result<TrainingVolume, PipelineError> {
        let prepared = PreparedCase::open(&set.dataset, case)?;
        let mut image = prepared.volume.array();
        let mut labels = native_labels(&prepared);
        if let Some(undo) = self.undo {
            undone(undo, set, case, &prepared, &mut image)?;
        }
        let seed = case_seed(self.seed, &case.id);
        self.countermeasure
            .apply(&set.ct, &mut image, &mut labels, seed)?;
        let spacing = prepared.volume.spacing();
        let preprocessed = self.preprocessor.apply(image, labels.view(), spacing)?;
        let shape = preprocessed.shape();
        let mut image = preprocessed.image.into_raw_vec_and_offset().0;
        if let Some(filter) = filter {
            filter.apply(&mut image, shape);
        }
        let class = |label: &u16| self.classes.binary_search(label).map_or(-1, |c| c as i32);
        Ok(TrainingVolume {
            image,
            labels: preprocessed.labels.iter().map(class).collect(),
            support: vec![1.0; shape.iter().product()],
            channels: set.channels,
            shape,
        })
    }
}

/// The labels of a case; background where it has none.
pub(super) fn native_labels(prepared: &PreparedCase) -> Array3<u16> {
    match &prepared.labels {
        Some(labels) => labels.array(),
        None => Array3::zeros(prepared.volume.shape()),
    }
}

/// A training set's cases with the share that is clean: (first phase, second phase). The first is empty unless
/// the clean cases come before the others.
pub(super) type Phases<'a> = (
    Vec<(&'a LabelledSet, &'a Case)>,
    Vec<(&'a LabelledSet, &'a Case)>,
);

/// Which files are trained on. Which cases are clean is drawn from `seed`.
pub(super) fn phases<'a>(
    own: &'a LabelledSet,
    clean: Option<&'a LabelledSet>,
    how: CleanCases,
    seed: u64,
) -> Result<Phases<'a>, PipelineError> {
    let all: Vec<_> = own.cases.iter().map(|case| (own, case)).collect();
    let Some(clean) = clean.filter(|_| how != CleanCases::None) else {
        return Ok((Vec::new(), all));
    };
    let mut order: Vec<usize> = (0..all.len()).collect();
    order.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    let count = ((how.share() * all.len() as f64).round() as usize).clamp(1, all.len());
    order.truncate(count);
    let mut held = Vec::with_capacity(count);
    for &index in &order {
        let id = &own.cases[index].id;
        let case = clean.case(id).ok_or_else(|| PipelineError::NoCleanTwin {
            id: id.clone(),
            dataset: clean.dataset.root.clone(),
        })?;
        held.push((clean, case));
    }
    Ok(match how {
        CleanCases::None => (Vec::new(), all),
        CleanCases::Only(_) => (Vec::new(), held),
        CleanCases::Before(_) => (held, all),
        CleanCases::Mixed(_) => {
            let rest = (0..all.len()).filter(|index| !order.contains(index));
            let rest = rest.map(|index| all[index]);
            (Vec::new(), held.iter().copied().chain(rest).collect())
        }
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::data::{PhantomConfig, write_phantom_dataset};

    #[test]
    fn clean_cases_replace_precede_or_are_all_that_is_trained_on() {
        let folder = tempfile::tempdir().unwrap();
        let config = PhantomConfig::new([16; 3], 1);
        write_phantom_dataset(folder.path(), 5, &config).unwrap();
        let [own, clean] = [0; 2].map(|_| LabelledSet::open(folder.path(), None).unwrap());
        let run = |how, seed| phases(&own, Some(&clean), how, seed).unwrap();
        let is_clean = |entry: &(&LabelledSet, &Case)| std::ptr::eq(entry.0, &clean);
        let ids = |cases: &[(&LabelledSet, &Case)]| -> BTreeSet<String> {
            cases.iter().map(|(_, case)| case.id.clone()).collect()
        };
        let mut first = BTreeSet::new();
        for seed in 0..8 {
            let (before, mixed) = run(CleanCases::Mixed(0.2), seed);
            assert!(before.is_empty());
            let count = mixed.iter().filter(|entry| is_clean(entry)).count();
            assert_eq!((count, mixed.len(), ids(&mixed).len()), (1, 5, 5));
            let (before, only) = run(CleanCases::Only(0.2), seed);
            assert!(before.is_empty() && only.len() == 1 && is_clean(&only[0]));
            let (before, after) = run(CleanCases::Before(0.2), seed);
            assert!(before.len() == 1 && is_clean(&before[0]));
            assert!(after.len() == 5 && !after.iter().any(is_clean));
            assert_eq!(before[0].1.id, only[0].1.id, "the control's case");
            let held = mixed.iter().find(|entry| is_clean(entry)).unwrap();
            assert_eq!(held.1.id, only[0].1.id);
            first.insert(only[0].1.id.clone());
        }
        assert!(first.len() > 1, "the seed draws which");
        let (before, all) = run(CleanCases::None, 0);
        assert!(before.is_empty() && all.len() == 5 && !all.iter().any(is_clean));
    }
}
