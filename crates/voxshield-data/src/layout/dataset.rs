//! What a scan of a dataset folder finds.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::error::LayoutError;
use super::tree::Tree;
use crate::error::DataError;
use crate::intensity::Modality;
use crate::manifest::unfit_name;
use crate::nifti::file_parts;

/// A dataset: cases, and what is not a case.
#[derive(Clone, Debug)]
pub struct Dataset {
    /// The folder, with symbolic links resolved.
    pub root: PathBuf,
    /// Name of the layout.
    pub layout: &'static str,
    /// Channels of every case, in order; one unnamed channel where the layout does not say.
    pub channels: Vec<Channel>,
    /// Names of label values, as far as the layout gives them.
    pub labels: BTreeMap<u16, String>,
    /// Cases, sorted by id; ids are unique, upper and lower case being different.
    pub cases: Vec<Case>,
    /// Training cases that lack nothing but their label, sorted by id; each is among the problems as well. No case has an id of these.
    pub unlabelled: Vec<Case>,
    /// Files to be copied as they are (`dataset.json`, a licence, ...), relative to the root, sorted. Never a file that may
    /// hold voxels.
    pub auxiliary: Vec<PathBuf>,
    /// Cases and files that cannot be used, sorted by path; the other cases are not affected.
    pub problems: Vec<CaseProblem>,
}

/// One channel of a dataset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Channel {
    /// Its name, such as `CT` or `t1ce`.
    pub name: String,
    /// Its modality, where the name says so.
    pub modality: Option<Modality>,
}

impl Channel {
    /// The one channel of a dataset that says nothing of its channels; of its files, each may have several.
    pub(super) fn unnamed() -> Self {
        Self {
            name: "image".to_string(),
            modality: None,
        }
    }

    /// A channel whose modality is what its name says.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self {
            name: name.to_string(),
            modality: Modality::from_channel_name(name),
        }
    }
}

/// One case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// Unique name.
    pub id: String,
    /// Image files relative to the root, in channel order; of an `.hdr`/`.img` pair, the header.
    pub images: Vec<PathBuf>,
    /// Label file relative to the root; always there in the training split.
    pub label: Option<PathBuf>,
    /// Training or test.
    pub split: Split,
}

/// What a case is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// Training: has a label.
    Train,
    /// Test: may lack one.
    Test,
}

/// A case or file that cannot be used.
#[derive(Clone, Debug)]
pub struct CaseProblem {
    /// The case's id, or the file's name where there is no case.
    pub id: String,
    /// The file at fault, relative to the root.
    pub path: PathBuf,
    /// Why.
    pub error: Arc<DataError>,
}

impl Dataset {
    /// Absolute paths of relative ones.
    #[must_use]
    pub fn absolute(&self, relative: &[PathBuf]) -> Vec<PathBuf> {
        relative.iter().map(|path| self.root.join(path)).collect()
    }

    /// The dataset for whoever needs no labels: training cases without one are cases, not problems.
    #[must_use]
    pub fn without_need_of_labels(mut self) -> Self {
        self.problems.retain(|problem| {
            !matches!(
                *problem.error,
                DataError::Layout(LayoutError::MissingLabel { .. })
            )
        });
        self.cases.append(&mut self.unlabelled);
        self.cases.sort_by(|a, b| a.id.cmp(&b.id));
        self
    }

    /// How many channels a case has, where the layout or the `dataset.json` says so.
    #[must_use]
    pub fn stated_channels(&self) -> Option<usize> {
        (self.channels != [Channel::unnamed()]).then_some(self.channels.len())
    }

    /// The label of voxels that nobody has labelled, which nnU-Net calls `ignore`.
    #[must_use]
    pub fn ignored_label(&self) -> Option<u16> {
        let mut labels = self.labels.iter();
        labels.find_map(|(&value, name)| (name == "ignore").then_some(value))
    }

    /// A case by its id.
    #[must_use]
    pub fn case(&self, id: &str) -> Option<&Case> {
        self.cases.iter().find(|case| case.id == id)
    }
}

/// A dataset under construction: keeps ids unique and accounts for every file of the tree.
pub(super) struct Builder<'a> {
    tree: &'a Tree,
    layout: &'static str,
    cases: BTreeMap<String, Case>,
    unlabelled: BTreeMap<String, Case>,
    /// First images by the id in lower case: where capitals do not count, ids must differ too.
    known: BTreeMap<String, PathBuf>,
    problems: Vec<CaseProblem>,
    claimed: BTreeSet<PathBuf>,
    /// Every image that a case was to have, also of cases that became problems.
    images: BTreeSet<PathBuf>,
    pub(super) channels: Vec<Channel>,
    pub(super) labels: BTreeMap<u16, String>,
}

impl<'a> Builder<'a> {
    pub(super) fn new(tree: &'a Tree, layout: &'static str) -> Self {
        Self {
            tree,
            layout,
            cases: BTreeMap::new(),
            unlabelled: BTreeMap::new(),
            known: BTreeMap::new(),
            problems: Vec::new(),
            claimed: BTreeSet::new(),
            images: BTreeSet::new(),
            channels: vec![Channel::unnamed()],
            labels: BTreeMap::new(),
        }
    }

    /// The full path of a relative one, for errors.
    pub(super) fn full(&self, path: &Path) -> PathBuf {
        self.tree.root().join(path)
    }

    /// Reports a problem; the file does not count as unexpected any more.
    pub(super) fn problem(&mut self, id: &str, path: &Path, error: impl Into<DataError>) {
        self.claim(path);
        self.problems.push(CaseProblem {
            id: id.to_string(),
            path: path.to_path_buf(),
            error: Arc::new(error.into()),
        });
    }

    /// Marks a file as spoken for, by a case or a problem.
    pub(super) fn claim(&mut self, path: &Path) {
        self.claimed.insert(path.to_path_buf());
    }

    /// Adds a case. One that cannot be used becomes a problem instead: id taken, half of a pair missing, a name that no manifest
    /// can hold (better said now than when all is done), or no label in training (`expected_label` says where it should be).
    pub(super) fn case(&mut self, case: Case, expected_label: &str) {
        for path in case.images.iter().chain(&case.label) {
            self.claim(path);
        }
        self.images.extend(case.images.iter().cloned());
        let Some(first) = case.images.first().cloned() else {
            return;
        };
        // Whoever needs no labels takes both kinds, so ids are unique over both.
        if let Some(other) = self.known.get(&case.id.to_lowercase()) {
            let error = LayoutError::DuplicateCase {
                path: self.full(&first),
                id: case.id.clone(),
                other: self.full(other),
            };
            return self.problem(&case.id, &first, error);
        }
        let mut companions = vec![];
        for path in case.images.iter().chain(&case.label) {
            match file_parts(&self.full(path)) {
                Ok(parts) => companions.extend(parts),
                Err(error) => return self.problem(&case.id, path, error),
            }
        }
        for part in companions {
            if let Ok(relative) = part.strip_prefix(self.tree.root()) {
                self.claim(relative);
            }
        }
        for path in case.images.iter().chain(&case.label) {
            if let Some((name, reason)) = unfit_name(path) {
                let error = LayoutError::UnfitName {
                    path: self.full(path),
                    name,
                    reason,
                };
                return self.problem(&case.id, path, error);
            }
        }
        self.known.insert(case.id.to_lowercase(), first.clone());
        if case.label.is_none() && case.split == Split::Train {
            let error = LayoutError::MissingLabel {
                path: self.full(&first),
                expected: expected_label.to_string(),
            };
            self.problem(&case.id, &first, error);
            self.unlabelled.insert(case.id.clone(), case);
            return;
        }
        self.cases.insert(case.id.clone(), case);
    }

    /// A case whose label is the image of a case, by its path or through a link, becomes a problem.
    fn refuse_images_as_labels(&mut self) {
        let root = self.tree.root();
        let files = |path: &Path| -> Vec<PathBuf> {
            let full = root.join(path);
            let parts = file_parts(&full).unwrap_or_else(|_| vec![full]);
            let resolved = parts
                .into_iter()
                .map(|part| fs::canonicalize(&part).unwrap_or(part));
            resolved.collect()
        };
        let images: BTreeMap<PathBuf, &PathBuf> = (self.images.iter())
            .flat_map(|image| files(image).into_iter().map(move |file| (file, image)))
            .collect();
        let of_label = |case: &Case| {
            let label = case.label.as_ref()?;
            let mut files = files(label).into_iter();
            let image = files.find_map(|file| images.get(&file).copied())?;
            Some((case.id.clone(), label.clone(), image.clone()))
        };
        let found: Vec<_> = self.cases.values().filter_map(of_label).collect();
        for (id, label, image) in found {
            self.cases.remove(&id);
            let error = LayoutError::LabelIsImage {
                path: self.full(&label),
                id: id.clone(),
                image: self.full(&image),
            };
            self.problem(&id, &label, error);
        }
    }

    /// Files that no case claimed become auxiliary, or problems when they may hold voxels.
    pub(super) fn finish(mut self) -> Dataset {
        self.refuse_images_as_labels();
        let mut auxiliary = vec![];
        for path in self.tree.files() {
            if self.claimed.contains(path) {
                continue;
            }
            if may_hold_voxels(path) {
                let name = path
                    .file_name()
                    .unwrap_or_default()
                    .to_string_lossy()
                    .into_owned();
                let error = LayoutError::UnexpectedFile {
                    path: self.full(path),
                    layout: self.layout,
                };
                self.problems.push(CaseProblem {
                    id: name,
                    path: path.clone(),
                    error: Arc::new(error.into()),
                });
            } else {
                auxiliary.push(path.clone());
            }
        }
        let mut problems = self.problems;
        problems.extend(self.tree.refused().cloned());
        problems.sort_by(|a, b| (&a.path, &a.id).cmp(&(&b.path, &b.id)));
        Dataset {
            root: self.tree.root().to_path_buf(),
            layout: self.layout,
            channels: self.channels,
            labels: self.labels,
            cases: self.cases.into_values().collect(),
            unlabelled: self.unlabelled.into_values().collect(),
            auxiliary,
            problems,
        }
    }
}

/// Endings of formats that hold volumes, and of archives that may: copying one could publish what was to be protected.
const VOXEL_ENDINGS: [&str; 31] = [
    ".nii", ".nii.gz", ".hdr", ".hdr.gz", ".img", ".img.gz", ".mha", ".mhd", ".raw", ".zraw",
    ".nrrd", ".nhdr", ".mgz", ".mgh", ".mnc", ".dcm", ".ima", ".npy", ".npz", ".h5", ".hdf5",
    ".mat", ".pt", ".pth", ".b2nd", ".zip", ".tar", ".tgz", ".gz", ".7z", ".rar",
];

fn may_hold_voxels(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    VOXEL_ENDINGS
        .iter()
        .any(|ending| crate::nifti::ends_with_ignore_case(&name, ending))
}
