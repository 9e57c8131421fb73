//! `dataset.json`, as nnU-Net and the Medical Segmentation Decathlon have it.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value};

use super::dataset::Channel;
use super::tree::Tree;
use crate::error::DataError;
use crate::manifest::{json, read_bounded};

const NAME: &str = "dataset.json";
/// The most bytes of a `dataset.json` that are read.
const LIMIT: u64 = 1 << 26;

/// The object in a dataset's `dataset.json`, with the path for errors.
pub(super) struct DatasetJson {
    path: std::path::PathBuf,
    object: Map<String, Value>,
}

impl DatasetJson {
    /// `None` when there is no such file.
    pub(super) fn read(tree: &Tree) -> Result<Option<Self>, DataError> {
        if !tree.has(Path::new(NAME)) {
            return Ok(None);
        }
        let path = tree.root().join(NAME);
        let bytes = read_bounded(&path, LIMIT)?;
        match serde_json::from_slice(&bytes).map_err(|error| json(&path, &error))? {
            Value::Object(object) => Ok(Some(Self { path, object })),
            _ => Err(DataError::Json {
                path,
                reason: "expected an object at the top".to_string(),
            }),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn get(&self, key: &str) -> Option<&Value> {
        self.object.get(key)
    }

    pub(super) fn error(&self, reason: impl Into<String>) -> DataError {
        DataError::Json {
            path: self.path.clone(),
            reason: reason.into(),
        }
    }

    /// Channels from an object `{"0": "CT", ...}` under one of `keys`, in numerical order; they must be 0, 1, 2, ...
    pub(super) fn channels(&self, keys: &[&str]) -> Result<Option<Vec<Channel>>, DataError> {
        let Some((key, value)) = keys.iter().find_map(|key| Some((key, self.get(key)?))) else {
            return Ok(None);
        };
        let names = value
            .as_object()
            .ok_or_else(|| self.error(format!("{key:?} must be an object of channel numbers")))?;
        let mut sorted = BTreeMap::new();
        for (number, name) in names {
            let name = name.as_str().map(str::to_string);
            let entry = number.parse::<u16>().ok().zip(name);
            let (number, name) = entry.ok_or_else(|| {
                self.error(format!("{key:?}: {number:?} must be a number with a name"))
            })?;
            sorted.insert(number, Channel::named(&name));
        }
        if sorted.is_empty() || !sorted.keys().copied().eq(0..sorted.len() as u16) {
            return Err(self.error(format!("{key:?} must be numbered 0, 1, 2, ...")));
        }
        Ok(Some(sorted.into_values().collect()))
    }

    /// Label names: from `{"name": 1}` and `{"name": [1, 2]}` (nnU-Net, where a value in several regions gets all their names) or
    /// `{"1": "name"}` (Decathlon).
    pub(super) fn labels(&self) -> Result<BTreeMap<u16, String>, DataError> {
        let Some(value) = self.get("labels") else {
            return Ok(BTreeMap::new());
        };
        let labels = value
            .as_object()
            .ok_or_else(|| self.error("\"labels\" must be an object"))?;
        let mut names: BTreeMap<u16, Vec<String>> = BTreeMap::new();
        for (key, value) in labels {
            let (values, name) = match value {
                Value::String(name) => (vec![key.parse::<u16>().ok()], name.clone()),
                Value::Array(values) => (values.iter().map(label_value).collect(), key.clone()),
                other => (vec![label_value(other)], key.clone()),
            };
            for value in values {
                let value = value.ok_or_else(|| {
                    self.error(format!(
                        "\"labels\": {key:?} must name whole numbers from 0 to 65535"
                    ))
                })?;
                names.entry(value).or_default().push(name.clone());
            }
        }
        Ok(names
            .into_iter()
            .map(|(value, names)| (value, names.join(" + ")))
            .collect())
    }
}

fn label_value(value: &Value) -> Option<u16> {
    // Some writers put numbers as 1.0.
    let number = value.as_f64()?;
    (number.fract() == 0.0 && (0.0..=65535.0).contains(&number)).then_some(number as u16)
}
