//! Medical Segmentation Decathlon: a `dataset.json` that lists the pairs; several modalities are one 4-D file.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::dataset::{Builder, Case, Dataset, Split};
use super::dataset_json::DatasetJson;
use super::error::LayoutError;
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
        for (key, split) in [("training", Split::Train), ("test", Split::Test)] {
            let entries = match json.get(key) {
                Some(Value::Array(entries)) => entries.as_slice(),
                None if split == Split::Test => &[],
                _ => return Err(json.error(format!("{key:?} must be a list"))),
            };
            for entry in entries {
                let (image, label) = entry_paths(&json, key, entry)?;
                add(tree, &json, &mut builder, image, label, split);
            }
        }
        Ok(builder.finish())
    }
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
    image: &str,
    label: Option<&str>,
    split: Split,
) {
    let id = id_of(image);
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

fn id_of(image: &str) -> String {
    let name = image.rsplit('/').next().unwrap_or(image);
    nifti_stem(name).unwrap_or(name).to_string()
}
