use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use ndarray::Axis;

use crate::{
    data::{
        Case, CtStatistics, CtStatisticsBuilder, Dataset, IntensityRange, MANIFEST_NAME, Manifest,
        Modality, discover, sha256_bytes, sha256_volume,
    },
    eval::record::DatasetFacts,
    pipeline::{
        MemoryLimit, PipelineError, PreparedCase,
        memory::{Work, check as check_memory},
    },
};

/// The labelled cases of a dataset, and what is known of them after one pass; no voxels.
pub(super) struct LabelledSet {
    pub(super) dataset: Dataset,
    pub(super) cases: Vec<Case>,
    /// The manifest, if the dataset is a protected one.
    pub(super) manifest: Option<Manifest>,
    /// All label values in order, 0 included.
    pub(super) classes: Vec<u16>,
    pub(super) channels: usize,
    pub(super) modalities: Vec<Modality>,
    /// One entry a channel; `None` for MRI.
    pub(super) ct: Vec<Option<CtStatistics>>,
    /// Median over the cases, `[depth, height, width]` in mm.
    pub(super) spacing: [f64; 3],
    pub(super) facts: DatasetFacts,
    /// SHA-256 of each channel's voxels, with the file that has them.
    voxels: BTreeMap<String, PathBuf>,
    /// SHA-256 of each image file, with its path.
    files: BTreeMap<String, PathBuf>,
}

impl LabelledSet {
    /// Reads every labelled case once, if each of them has room in memory.
    pub(super) fn open(root: &Path, limit: Option<MemoryLimit>) -> Result<Self, PipelineError> {
        let dataset = discover(root)?;
        let labelled = |case: &&Case| case.label.is_some();
        let cases: Vec<Case> = dataset.cases.iter().filter(labelled).cloned().collect();
        let no_case = |first: String| PipelineError::NoUsableCase {
            path: root.to_path_buf(),
            failed: dataset.problems.len(),
            first,
        };
        for case in &cases {
            check_memory(&dataset, case, Work::Evaluate, limit)?;
        }
        let first = cases
            .first()
            .ok_or_else(|| no_case("no labelled case".into()))?;
        let first = PreparedCase::open(&dataset, first)?;
        let (channels, modalities) = (first.volume.channels(), first.modalities(&dataset));
        let mut statistics: Vec<CtStatisticsBuilder> = vec![CtStatisticsBuilder::new(); channels];
        let mut classes = BTreeSet::from([0]);
        let mut spacings = Vec::new();
        let (mut voxels, mut files, mut names) = (BTreeMap::new(), BTreeMap::new(), String::new());
        for case in &cases {
            let prepared = PreparedCase::open(&dataset, case)?;
            let volume = &prepared.volume;
            if volume.channels() != channels {
                return Err(PipelineError::Channels {
                    path: volume.path().to_path_buf(),
                    expected: channels,
                    found: volume.channels(),
                });
            }
            for (channel, values) in volume.array().axis_iter(Axis(0)).enumerate() {
                let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
                voxels.insert(sha256_bytes(&bytes), volume.path().to_path_buf());
                if let (Modality::Ct, Some(labels)) = (modalities[channel], &prepared.labels) {
                    statistics[channel].add(volume, channel, labels)?;
                }
            }
            classes.extend(prepared.labels.iter().flat_map(|l| l.classes()));
            spacings.push(volume.spacing());
            for path in case.images.iter().chain(&case.label) {
                let hash = sha256_volume(&dataset.root.join(path))?;
                names.push_str(&format!(
                    "{} {hash}\n",
                    path.to_string_lossy().replace('\\', "/")
                ));
                if case.images.contains(path) {
                    files.insert(hash, dataset.root.join(path));
                }
            }
        }
        let ct = statistics
            .into_iter()
            .map(|s| (s.seen() > 0).then(|| s.finish()).transpose());
        let manifest = root.join(MANIFEST_NAME);
        let manifest = manifest
            .exists()
            .then(|| Manifest::read(&manifest))
            .transpose()?;
        Ok(Self {
            manifest,
            classes: classes.into_iter().collect(),
            channels,
            modalities,
            ct: ct.collect::<Result<_, _>>()?,
            spacing: median(&spacings),
            facts: DatasetFacts {
                cases: cases.len(),
                sha256: sha256_bytes(names.as_bytes()),
            },
            voxels,
            files,
            cases,
            dataset,
        })
    }

    /// The case of that id.
    pub(super) fn case(&self, id: &str) -> Option<&Case> {
        self.cases.iter().find(|case| case.id == id)
    }

    /// The intensity ranges that the manifest publishes for a case.
    pub(super) fn ranges(&self, case: &Case) -> Result<&[IntensityRange], PipelineError> {
        let records = self.manifest.iter().flat_map(|manifest| &manifest.cases);
        let record = records.into_iter().find(|record| record.id == case.id);
        record
            .map(|record| record.ranges.as_slice())
            .ok_or_else(|| PipelineError::NoManifest {
                path: self.dataset.root.clone(),
            })
    }

    /// An error if a case of `test` is in this training set.
    pub(super) fn check_disjoint(&self, test: &Self) -> Result<(), PipelineError> {
        match self.shared_with(test) {
            Some([training, test]) => Err(PipelineError::TestCaseInTraining { test, training }),
            None => Ok(()),
        }
    }

    /// An image of this set and one of `other` that are one case: the same voxels in a channel, or, of a protected set, the file that
    /// the image was made from.
    pub(super) fn shared_with(&self, other: &Self) -> Option<[PathBuf; 2]> {
        for (hash, path) in &other.voxels {
            if let Some(own) = self.voxels.get(hash) {
                return Some([own.clone(), path.clone()]);
            }
        }
        let records = self
            .manifest
            .iter()
            .flat_map(|m| &m.cases)
            .flat_map(|c| &c.files);
        for record in records {
            if let Some(path) = other.files.get(&record.sha256_before) {
                return Some([self.dataset.root.join(&record.path), path.clone()]);
            }
        }
        None
    }

    /// A note if this training set, called `name`, and the test cases differ in their labels; an error if they have none in common, where
    /// every Dice would be 0.
    pub(super) fn compare_labels(
        &self,
        name: &str,
        test: &Self,
    ) -> Result<Option<String>, PipelineError> {
        let labels = |set: &Self| set.classes.iter().copied().filter(|&l| l > 0).collect();
        let (own, tested): (BTreeSet<u16>, BTreeSet<u16>) = (labels(self), labels(test));
        if own.is_disjoint(&tested) {
            return Err(PipelineError::NoCommonLabel {
                test: test.dataset.root.clone(),
                training: self.dataset.root.clone(),
                expected: own.into_iter().collect(),
                found: tested.into_iter().collect(),
            });
        }
        Ok((own != tested).then(|| {
            format!(
                "'{name}' and the test cases differ in their labels: {:?} are in the training set alone, {:?} in the test cases alone; neither are scored",
                Vec::from_iter(&own - &tested),
                Vec::from_iter(&tested - &own)
            )
        }))
    }
}

fn median(spacings: &[[f64; 3]]) -> [f64; 3] {
    std::array::from_fn(|axis| {
        let mut values: Vec<f64> = spacings.iter().map(|s| s[axis]).collect();
        values.sort_unstable_by(f64::total_cmp);
        let (low, high) = ((values.len() - 1) / 2, values.len() / 2);
        (values[low] + values[high]) / 2.0
    })
}

#[cfg(test)]
mod tests {
    use super::{
        super::fixtures::{open, textured},
        *,
    };

    #[test]
    fn labels_that_differ_are_told_and_none_in_common_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let set = |name: &str, labels: &[u8]| open(&textured(&folder.path().join(name), 1, labels));
        let own = set("set", &[1, 2]);
        let against = |name, labels: &[u8]| own.compare_labels("mine", &set(name, labels));
        assert_eq!(against("same", &[1, 2]).unwrap(), None);
        let note = against("other", &[1, 3]).unwrap().unwrap();
        for part in [
            "'mine'",
            "[2] are in the training set",
            "[3] in the test cases",
        ] {
            assert!(note.contains(part), "{note}");
        }
        let error = against("none", &[3]).unwrap_err();
        let PipelineError::NoCommonLabel {
            expected, found, ..
        } = &error
        else {
            panic!("{error}")
        };
        assert_eq!((&expected[..], &found[..]), (&[1, 2][..], &[3][..]));
    }

    #[test]
    fn the_median_is_taken_per_axis() {
        let spacings = [
            [1.0, 2.0, 9.0],
            [3.0, 1.0, 7.0],
            [2.0, 4.0, 8.0],
            [5.0, 3.0, 6.0],
        ];
        assert_eq!(median(&spacings), [2.5, 2.5, 7.5]);
    }
}
