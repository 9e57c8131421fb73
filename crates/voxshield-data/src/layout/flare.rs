//! FLARE: `CASE_0000.nii.gz` and `CASE.nii.gz`, side by side or in folders such as `TrainingImg` and `TrainingMask`.

use std::collections::{BTreeMap, BTreeSet};
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
        let names = Names::new(tree);
        tree.volumes()
            .filter_map(|(_, stem)| names.image(stem))
            .any(|(id, channel)| channel == 0 && names.labels.contains_key(id))
    }

    fn scan(&self, tree: &Tree) -> Result<Dataset, DataError> {
        let mut builder = Builder::new(tree, self.name());
        // FLARE is abdominal CT, with the names of its organs in no file. Folders of other origin look the same.
        if tree.volumes().any(|(path, stem)| is_flare(path, stem)) {
            builder.channels = vec![Channel {
                name: "CT".to_string(),
                modality: Some(Modality::Ct),
            }];
        }
        let names = Names::new(tree);
        let mut used = BTreeSet::new();
        for (path, stem) in tree.volumes() {
            let Some((id, channel)) = names.image(stem) else {
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
            let labels = names.labels.get(id).map_or(&[][..], Vec::as_slice);
            let label = match nearest(path, labels) {
                Ok(label) => label,
                Err([first, second]) => {
                    let error = LayoutError::AmbiguousLabel {
                        path: builder.full(path),
                        first: builder.full(first),
                        second: builder.full(second),
                    };
                    // The files are spoken for by this problem.
                    for label in labels {
                        builder.claim(label);
                    }
                    builder.problem(id, path, error);
                    continue;
                }
            };
            let case = Case {
                id: id.to_string(),
                images: vec![path.to_path_buf()],
                label,
                split: split_of(path),
            };
            builder.case(case, &format!("{id}.nii.gz"));
        }
        for (id, paths) in names.labels {
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

/// Which names are those of images and which of labels. In `FLARE22_Tr_0001` the number is the case's, not a channel's: a label
/// is whatever has an image of its name and `_0000`, and whatever has no channel number.
struct Names<'a> {
    all: BTreeSet<&'a str>,
    /// Labels by name; one name may be in several folders.
    labels: BTreeMap<&'a str, Vec<&'a Path>>,
}

impl<'a> Names<'a> {
    fn new(tree: &'a Tree) -> Self {
        let mut names = Self {
            all: tree.volumes().map(|(_, stem)| stem).collect(),
            labels: BTreeMap::new(),
        };
        for (path, stem) in tree.volumes() {
            if names.image(stem).is_none() {
                names.labels.entry(stem).or_default().push(path);
            }
        }
        names
    }

    /// Case and channel of an image; none of a label.
    fn image<'s>(&self, stem: &'s str) -> Option<(&'s str, u16)> {
        let (id, channel) = split_channel(stem)?;
        // A number that is a channel's comes after 0000: alone, it is that of a label whose image is missing.
        let of_label = self.has_first(stem)
            || channel != 0 && (!self.has_first(id) || self.has_first(&format!("{id}_0000")));
        (!of_label).then_some((id, channel))
    }

    /// Whether there is a file of this name and `_0000`.
    fn has_first(&self, name: &str) -> bool {
        self.all.contains(format!("{name}_0000").as_str())
    }
}

/// The label in the image's own folder, else the one in a folder beside it, else the only one; or two that may be it.
fn nearest<'a>(image: &Path, labels: &[&'a Path]) -> Result<Option<PathBuf>, [&'a Path; 2]> {
    let folder = image.parent();
    let above = folder.and_then(Path::parent);
    let own: Vec<&Path> = (labels.iter().copied())
        .filter(|label| label.parent() == folder)
        .collect();
    let beside: Vec<&Path> = (labels.iter().copied())
        .filter(|label| label.parent().and_then(Path::parent) == above)
        .collect();
    let nearest = [own.as_slice(), &beside, labels];
    match nearest.into_iter().find(|found| !found.is_empty()) {
        Some([first, second, ..]) => Err([*first, *second]),
        Some([only]) => Ok(Some(only.to_path_buf())),
        _ => Ok(None),
    }
}

/// Whether a file is one of the challenge, by the names of its years.
fn is_flare(path: &Path, stem: &str) -> bool {
    let folders = ["TrainingImg", "TrainingMask"];
    let named = stem
        .get(..5)
        .is_some_and(|name| name.eq_ignore_ascii_case("flare"));
    named
        || path
            .iter()
            .any(|part| folders.iter().any(|folder| part == *folder))
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
