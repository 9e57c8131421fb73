//! BraTS: `CASE_flair`, `CASE_t1`, `CASE_t1ce`, `CASE_t2`, `CASE_seg` (2018 to 2021), or `CASE-t1c`, `-t1n`, `-t2f`, `-t2w`, `-seg` (2023 on),
//! in one folder or one folder per case.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::dataset::{Builder, Case, Channel, Dataset, Split};
use super::error::LayoutError;
use super::registry::Layout;
use super::tree::Tree;
use crate::error::DataError;
use crate::intensity::Modality;

pub(super) struct Brats;

/// Separator and channels, in channel order, of each family of names.
const FAMILIES: [(char, [&str; 4]); 2] = [
    ('_', ["flair", "t1", "t1ce", "t2"]),
    ('-', ["t1c", "t1n", "t2f", "t2w"]),
];

/// Label names that the challenges agree on.
const LABELS: [(u16, &str); 5] = [
    (0, "background"),
    (1, "necrotic and non-enhancing tumour core"),
    (2, "peritumoral oedema"),
    (3, "enhancing tumour"),
    (4, "enhancing tumour"),
];

/// Files of one case by modality.
type Files<'a> = BTreeMap<&'a str, PathBuf>;

impl Layout for Brats {
    fn name(&self) -> &'static str {
        "brats"
    }

    fn describe(&self) -> &'static str {
        "CASE_{flair,t1,t1ce,t2,seg}.nii.gz or CASE-{t1c,t1n,t2f,t2w,seg}.nii.gz, in sub-folders or not"
    }

    fn detect(&self, tree: &Tree) -> bool {
        FAMILIES.iter().any(|family| {
            group(tree, family).values().any(|files| {
                let channels = files.keys().filter(|part| **part != "seg").count();
                channels >= 2
            })
        })
    }

    fn scan(&self, tree: &Tree) -> Result<Dataset, DataError> {
        let mut builder = Builder::new(tree, self.name());
        // A dataset is of one year: the family with more cases; files of the other are reported as unexpected.
        let [older, newer] = FAMILIES.map(|family| group(tree, &family).len());
        let family = if older >= newer {
            FAMILIES[0]
        } else {
            FAMILIES[1]
        };
        let channels = family.1;
        builder.channels = channels
            .iter()
            .map(|name| Channel {
                name: (*name).to_string(),
                modality: Some(Modality::Mri),
            })
            .collect();
        builder.labels = LABELS
            .iter()
            .map(|&(value, name)| (value, name.to_string()))
            .collect();
        for ((folder, id), files) in group(tree, &family) {
            for path in files.values() {
                builder.claim(path);
            }
            let images: Vec<PathBuf> = channels
                .iter()
                .filter_map(|channel| files.get(channel).cloned())
                .collect();
            let label = files.get("seg").cloned();
            let Some(first) = images.first().or(label.as_ref()).cloned() else {
                continue;
            };
            if images.len() < channels.len() {
                let found: Vec<&str> = files.keys().copied().collect();
                let error = LayoutError::Channels {
                    path: builder.full(&first),
                    expected: channels.join(", "),
                    found: found.join(", "),
                };
                builder.problem(id, &first, error);
                continue;
            }
            let case = Case {
                id: id.to_string(),
                images,
                label,
                split: split_of(folder),
            };
            let expected = format!("{id}{}seg.nii.gz beside it", family.0);
            builder.case(case, &expected);
        }
        Ok(builder.finish())
    }
}

/// Files by folder and case id, then by modality. Names are taken apart at the last separator and compared whole, so that `t1`
/// is never `t1ce`.
fn group<'a>(
    tree: &'a Tree,
    (separator, channels): &(char, [&'static str; 4]),
) -> BTreeMap<(&'a Path, &'a str), Files<'static>> {
    let mut groups: BTreeMap<(&Path, &str), Files<'static>> = BTreeMap::new();
    for (path, stem) in tree.volumes() {
        let Some((id, part)) = stem.rsplit_once(*separator) else {
            continue;
        };
        let known = channels
            .iter()
            .chain(&["seg"])
            .find(|known| **known == part);
        let (Some(known), Some(folder)) = (known, path.parent()) else {
            continue;
        };
        groups
            .entry((folder, id))
            .or_default()
            // The first in sorted order; a second ending of the same name is reported as unexpected.
            .entry(known)
            .or_insert_with(|| path.to_path_buf());
    }
    groups
}

/// Validation and test folders come without labels.
fn split_of(folder: &Path) -> Split {
    let folder = folder.to_string_lossy().to_ascii_lowercase();
    if folder.contains("valid") || folder.contains("test") {
        Split::Test
    } else {
        Split::Train
    }
}
