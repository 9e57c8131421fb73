//! Medical Segmentation Decathlon: a `dataset.json` that lists the pairs; several modalities are one 4-D file.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::dataset::{Builder, Case, Dataset, Split};
use super::dataset_json::DatasetJson;
use super::error::LayoutError;
use super::grouping::split_channel;
use super::registry::Layout;
use super::tree::Tree;
use crate::error::DataError;
use crate::manifest::check_relative;
use crate::nifti::nifti_stem;

pub(super) struct Decathlon;

impl Layout for Decathlon {
    fn name(&self) -> &'static str {
        "decathlon"
    }

    fn describe(&self) -> &'static str {
        "dataset.json with a list \"training\" of {image, label}"
    }

    fn detect(&self, tree: &Tree) -> bool {
        matches!(DatasetJson::read(tree), Ok(Some(json)) if json.get("training").is_some())
    }

    fn scan(&self, tree: &Tree) -> Result<Dataset, DataError> {
        let json = DatasetJson::read(tree)?.ok_or_else(|| LayoutError::UnknownLayout {
            path: tree.root().to_path_buf(),
            layouts: self.describe().to_string(),
        })?;
        let mut builder = Builder::new(tree, self.name());
        if let Some(channels) = json.channels(&["modality", "channel_names"])? {
            builder.channels = channels;
        }
        builder.labels = json.labels()?;
        let mut listed = Vec::new();
        for (key, split) in [("training", Split::Train), ("test", Split::Test)] {
            let entries = match json.get(key) {
                Some(Value::Array(entries)) => entries.as_slice(),
                None if split == Split::Test => &[],
                _ => return Err(json.error(format!("{key:?} must be a list"))),
            };
            for entry in entries {
                let (image, label) = entry_paths(&json, key, entry)?;
                listed.push((image, label, split));
            }
        }
        let ids = Ids::new(listed.iter().map(|&(image, ..)| image));
        for (image, label, split) in listed {
            add(
                tree,
                &json,
                &mut builder,
                (ids.of(image), image),
                label,
                split,
            );
        }
        Ok(builder.finish())
    }
}

/// Whether the list names files that are there, under the names of cases. The list that a dataset converted for nnU-Net has kept names
/// images without their channel, which are not there; one that names them with it has labels without.
pub(super) fn lists_its_files(json: &DatasetJson, tree: &Tree) -> bool {
    let Some(Value::Array(entries)) = json.get("training") else {
        return false;
    };
    let pairs = entries.iter().filter_map(|entry| {
        let (image, label) = entry_paths(json, "training", entry).ok()?;
        Some((image, label?))
    });
    let mut found = pairs.filter(|(image, _)| tree.has(&relative(image)));
    let with_channel = |image: &str, label: &str| {
        split_channel(&id_of(image)).is_some_and(|(case, _)| case == id_of(label))
    };
    found
        .next()
        .is_some_and(|(image, label)| !with_channel(image, label))
}

/// Image and label of an entry: a path, or an object with `image` and perhaps `label`.
fn entry_paths<'a>(
    json: &DatasetJson,
    key: &str,
    entry: &'a Value,
) -> Result<(&'a str, Option<&'a str>), DataError> {
    let bad = || {
        json.error(format!(
            "{key:?}: expected {{\"image\": ..., \"label\": ...}}, found {entry}"
        ))
    };
    match entry {
        Value::String(image) => Ok((image, None)),
        Value::Object(object) => {
            let image = object
                .get("image")
                .and_then(Value::as_str)
                .ok_or_else(bad)?;
            let label = object
                .get("label")
                .map(|label| label.as_str().ok_or_else(bad));
            Ok((image, label.transpose()?))
        }
        _ => Err(bad()),
    }
}

fn add(
    tree: &Tree,
    json: &DatasetJson,
    builder: &mut Builder<'_>,
    (id, image): (String, &str),
    label: Option<&str>,
    split: Split,
) {
    let mut paths = [None, None];
    for (slot, entry) in paths.iter_mut().zip([Some(image), label]) {
        let Some(entry) = entry else {
            continue;
        };
        if let Err(error) = check_relative(json.path(), entry) {
            // Both files of the entry are spoken for by this problem, however the list writes them.
            for entry in std::iter::once(image).chain(label) {
                builder.claim(&relative(entry));
            }
            return builder.problem(&id, Path::new(entry), error);
        }
        let path = relative(entry);
        if !tree.has(&path) {
            let error = LayoutError::MissingImage {
                path: builder.full(&path),
                expected: format!("the file that {} lists", json.path().display()),
            };
            // The other half of the entry is spoken for by this problem.
            if let Some(other) = label {
                builder.claim(&relative(other));
            }
            builder.claim(&relative(image));
            return builder.problem(&id, &path, error);
        }
        *slot = Some(path);
    }
    let [Some(image), label] = paths else {
        return;
    };
    let case = Case {
        id,
        images: vec![image],
        label,
        split,
    };
    builder.case(case, "a \"label\" in dataset.json");
}

fn relative(entry: &str) -> PathBuf {
    Path::new(entry)
        .components()
        .filter(|part| part.as_os_str() != ".")
        .collect()
}

/// The ids of listed images: their names, or where several folders have a name, the folders as well (`sub-01_t1`).
struct Ids(BTreeMap<String, BTreeSet<PathBuf>>);

impl Ids {
    fn new<'a>(images: impl Iterator<Item = &'a str>) -> Self {
        let mut paths: BTreeMap<String, BTreeSet<PathBuf>> = BTreeMap::new();
        for image in images {
            paths
                .entry(id_of(image))
                .or_default()
                .insert(relative(image));
        }
        Self(paths)
    }

    fn of(&self, image: &str) -> String {
        let name = id_of(image);
        if self.0.get(&name).is_none_or(|paths| paths.len() < 2) {
            return name;
        }
        let image = relative(image);
        let folders = image.parent().into_iter().flat_map(Path::iter);
        let parts = folders.map(|part| part.to_string_lossy().into_owned());
        parts.chain([name]).collect::<Vec<_>>().join("_")
    }
}

fn id_of(image: &str) -> String {
    let name = image.rsplit('/').next().unwrap_or(image);
    nifti_stem(name).unwrap_or(name).to_string()
}
