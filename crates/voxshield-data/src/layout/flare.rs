//! FLARE: `CASE_0000.nii.gz` and `CASE.nii.gz`, side by side or in folders such as `TrainingImg` and `TrainingMask`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::dataset::{Builder, Case, Channel, Dataset, Split};
use super::error::LayoutError;
use super::grouping::{channel_list, split_channel};
use super::registry::Layout;
use super::tree::Tree;
use crate::error::DataError;
use crate::intensity::Modality;

pub(super) struct Flare;

impl Layout for Flare {
    fn name(&self) -> &'static str {
        "flare"
    }

    fn describe(&self) -> &'static str {
        "CASE_0000.nii.gz with CASE.nii.gz, side by side or in TrainingImg/ and TrainingMask/"
    }

    fn detect(&self, tree: &Tree) -> bool {
        let labels = labels(tree);
        tree.volumes()
            .filter_map(|(_, stem)| split_channel(stem))
            .any(|(id, channel)| channel == 0 && labels.contains_key(id))
    }

    fn scan(&self, tree: &Tree) -> Result<Dataset, DataError> {
        let mut builder = Builder::new(tree, self.name());
        // FLARE is abdominal CT, with the names of its organs in no file.
        builder.channels = vec![Channel {
            name: "CT".to_string(),
            modality: Some(Modality::Ct),
        }];
        let labels = labels(tree);
        let mut used = std::collections::BTreeSet::new();
        for (path, stem) in tree.volumes() {
            let Some((id, channel)) = split_channel(stem) else {
                continue;
            };
            used.insert(id);
            if channel != 0 {
                let error = LayoutError::Channels {
                    path: builder.full(path),
                    expected: channel_list(0..1),
                    found: channel_list(std::iter::once(channel)),
                };
                builder.problem(id, path, error);
                continue;
            }
            let label = labels.get(id).and_then(|found| nearest(path, found));
            let case = Case {
                id: id.to_string(),
                images: vec![path.to_path_buf()],
                label,
                split: split_of(path),
            };
            builder.case(case, &format!("{id}.nii.gz"));
        }
        for (id, paths) in labels {
            for path in paths {
                if !used.contains(id) {
                    let error = LayoutError::MissingImage {
                        path: builder.full(path),
                        expected: format!("{id}_0000.nii.gz"),
                    };
                    builder.problem(id, path, error);
                }
            }
        }
        Ok(builder.finish())
    }
}

/// Files without channel number, by name; one name may be in several folders.
fn labels(tree: &Tree) -> BTreeMap<&str, Vec<&Path>> {
    let mut labels: BTreeMap<&str, Vec<&Path>> = BTreeMap::new();
    for (path, stem) in tree.volumes() {
        if split_channel(stem).is_none() {
            labels.entry(stem).or_default().push(path);
        }
    }
    labels
}

/// The label in the image's own folder, else the one in the same parent folder, else the only one.
fn nearest(image: &Path, labels: &[&Path]) -> Option<PathBuf> {
    let folder = image.parent();
    let above = folder.and_then(Path::parent);
    labels
        .iter()
        .find(|label| label.parent() == folder)
        .or_else(|| {
            labels
                .iter()
                .find(|label| label.parent().and_then(Path::parent) == above)
        })
        .or_else(|| labels.first().filter(|_| labels.len() == 1))
        .map(|label| label.to_path_buf())
}

/// Validation and test folders come without labels.
fn split_of(path: &Path) -> Split {
    let folder = path
        .parent()
        .map(|folder| folder.to_string_lossy().to_ascii_lowercase())
        .unwrap_or_default();
    let test = ["valid", "test", "imagests", "imagesval"];
    if test.iter().any(|word| folder.contains(word)) {
        Split::Test
    } else {
        Split::Train
    }
}
