//! Plain folders: `images/CASE.nii.gz` and `labels/CASE.nii.gz`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::dataset::{Builder, Case, Dataset, Split};
use super::error::LayoutError;
use super::registry::Layout;
use super::tree::Tree;
use crate::error::DataError;

const IMAGES: &str = "images";
const LABELS: &str = "labels";

pub(super) struct Plain;

impl Layout for Plain {
    fn name(&self) -> &'static str {
        "plain"
    }

    fn describe(&self) -> &'static str {
        "images/CASE.nii.gz and labels/CASE.nii.gz"
    }

    fn detect(&self, tree: &Tree) -> bool {
        tree.volumes_in(IMAGES).next().is_some()
    }

    fn scan(&self, tree: &Tree) -> Result<Dataset, DataError> {
        let mut builder = Builder::new(tree, self.name());
        let images = unique(tree, &mut builder, IMAGES);
        let labels = unique(tree, &mut builder, LABELS);
        for (id, image) in &images {
            let case = Case {
                id: (*id).to_string(),
                images: vec![image.to_path_buf()],
                label: labels.get(id).map(PathBuf::from),
                split: Split::Train,
            };
            builder.case(case, &format!("{LABELS}/{id}.nii.gz"));
        }
        for (id, label) in labels {
            if !images.contains_key(id) {
                let error = LayoutError::MissingImage {
                    path: builder.full(label),
                    expected: format!("{IMAGES}/{id}.nii.gz"),
                };
                builder.problem(id, label, error);
            }
        }
        Ok(builder.finish())
    }
}

/// Files of a folder by name without ending; `a.nii` and `a.nii.gz` are the same name, and the second one a problem.
fn unique<'a>(
    tree: &'a Tree,
    builder: &mut Builder<'_>,
    folder: &str,
) -> BTreeMap<&'a str, &'a Path> {
    let mut found: BTreeMap<&str, &Path> = BTreeMap::new();
    for (path, stem) in tree.volumes_in(folder) {
        if let Some(first) = found.get(stem) {
            let error = LayoutError::DuplicateCase {
                path: builder.full(path),
                id: stem.to_string(),
                other: builder.full(first),
            };
            builder.problem(stem, path, error);
        } else {
            found.insert(stem, path);
        }
    }
    found
}
