//! The int8 artefacts of the reference implementation: a folder with `manifest.json` and `torch.save` files.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use ndarray::Array4;
use serde::Deserialize;
use voxshield_pytorch::{
    check_checkpoint,
    pytorch_reader::{DType, PytorchError, PytorchReader},
};

use crate::error::DataError;
use crate::manifest::{check_relative, json, read_bounded};

const MANIFEST: &str = "manifest.json";
/// The most bytes of a manifest that are read.
const LIMIT: u64 = 1 << 28;

/// Perturbations that the reference implementation published, by key: one file a key (`files`) or several keys a file
/// (`shards`).
///
/// They are made for a grid of the reference's own, `[channel, depth, height, width]` of [`shape`](Self::shape), and in its
/// normalised units. Opening reads the manifest only; a perturbation is read when it is asked for, and its values take no more
/// memory than its file is long, five times. Pickles are interpreted as data; nothing in them is executed.
///
/// Keys mean the same trimmed and in lower case, as the reference looks them up.
#[derive(Clone, Debug)]
pub struct Artefact {
    folder: PathBuf,
    scale: f32,
    shape: [usize; 4],
    sharded: bool,
    entries: Vec<Entry>,
    /// Key -> entry, and position in it.
    index: BTreeMap<String, (usize, usize)>,
}

#[derive(Deserialize)]
struct ManifestFile {
    version: u32,
    strategy: String,
    dtype: String,
    scale: f64,
    image_size: [usize; 4],
    entries: Vec<Entry>,
}

#[derive(Clone, Debug, Deserialize)]
struct Entry {
    path: String,
    keys: Vec<String>,
}

/// What is read of a file beside its tensor.
#[derive(Deserialize)]
struct Keys {
    keys: Vec<String>,
}

impl Artefact {
    /// Opens the folder of an artefact.
    ///
    /// # Errors
    /// [`DataError::Io`] and [`DataError::TooLarge`] (256 MiB) for a manifest that cannot be read, [`DataError::Json`] for one that
    /// is none, [`DataError::UnsafePath`] for a path that leaves the folder, and [`DataError::Artefact`] for another version,
    /// strategy or datatype, an impossible size or scale, and a key that occurs twice.
    pub fn open(folder: &Path) -> Result<Self, DataError> {
        let path = folder.join(MANIFEST);
        let bytes = read_bounded(&path, LIMIT)?;
        let manifest: ManifestFile =
            serde_json::from_slice(&bytes).map_err(|error| json(&path, &error))?;
        let refuse = |reason: String| Err(artefact(&path, reason));
        if manifest.version != 1 || manifest.dtype != "int8" {
            return refuse(format!(
                "expected version 1 and dtype int8, found version {} and dtype {}",
                manifest.version, manifest.dtype
            ));
        }
        let sharded = match manifest.strategy.as_str() {
            "files" => false,
            "shards" => true,
            other => return refuse(format!("expected strategy files or shards, found {other}")),
        };
        let scale = manifest.scale as f32;
        if !(scale > 0.0 && scale.is_finite()) {
            return refuse(format!(
                "expected a positive scale, found {}",
                manifest.scale
            ));
        }
        if manifest.image_size.contains(&0) {
            let size = manifest.image_size;
            return refuse(format!("expected an image size without 0, found {size:?}"));
        }
        let mut index = BTreeMap::new();
        for (number, entry) in manifest.entries.iter().enumerate() {
            check_relative(&path, &entry.path)?;
            if !sharded && entry.keys.len() != 1 {
                let found = entry.keys.len();
                return refuse(format!("{}: expected one key, found {found}", entry.path));
            }
            for (position, key) in entry.keys.iter().enumerate() {
                if index.insert(canonical(key), (number, position)).is_some() {
                    return refuse(format!("the key {key:?} occurs twice"));
                }
            }
        }
        Ok(Self {
            folder: folder.to_path_buf(),
            scale,
            shape: manifest.image_size,
            sharded,
            entries: manifest.entries,
            index,
        })
    }

    /// `[channel, depth, height, width]` of every perturbation.
    #[must_use]
    pub fn shape(&self) -> [usize; 4] {
        self.shape
    }

    /// The keys in order, as they are looked up.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.index.keys().map(String::as_str)
    }

    /// The perturbation of `key`, `[channel, depth, height, width]` in the reference's normalised units: `q * scale` in f32.
    ///
    /// # Errors
    /// [`DataError::Artefact`] for a key that the artefact does not have, and for a file that cannot be read, is damaged, or
    /// holds other keys, another shape or another datatype than the manifest says.
    pub fn read(&self, key: &str) -> Result<Array4<f32>, DataError> {
        let place = self.index.get(&canonical(key));
        let Some((entry, position)) =
            place.and_then(|&(number, position)| Some((self.entries.get(number)?, position)))
        else {
            let path = self.folder.join(MANIFEST);
            return Err(artefact(
                &path,
                format!("no perturbation has the key {key:?}"),
            ));
        };
        let path = self.folder.join(&entry.path);
        let codes = self.codes(entry, &path)?;
        let voxels: usize = self.shape.iter().product();
        let values = codes
            .iter()
            .skip(position * voxels)
            .take(voxels)
            .map(|&code| f32::from(code.cast_signed()) * self.scale)
            .collect();
        Array4::from_shape_vec(self.shape, values)
            .map_err(|error| artefact(&path, error.to_string()))
    }

    /// The bytes of a file's tensor, once its keys, type and shape are those of the manifest.
    fn codes(&self, entry: &Entry, path: &Path) -> Result<Vec<u8>, DataError> {
        let refuse = |reason: String| Err(artefact(path, reason));
        let unreadable = |error: PytorchError| artefact(path, error.to_string());
        let open = DataError::io("open the file", path);
        let mut start = Vec::new();
        let file = File::open(path).and_then(|file| file.take(4).read_to_end(&mut start));
        file.map_err(open)?;
        if start != *b"PK\x03\x04" {
            return refuse("expected the zip format of torch.save".into());
        }
        let length = check_checkpoint(path).map_err(unreadable)?;
        let Keys { keys } = PytorchReader::load_config(path, None).map_err(unreadable)?;
        let reader = PytorchReader::new(path).map_err(unreadable)?;
        if !keys
            .iter()
            .map(|k| canonical(k))
            .eq(entry.keys.iter().map(|k| canonical(k)))
        {
            return refuse(format!(
                "expected the keys {:?}, found {keys:?}",
                entry.keys
            ));
        }
        let Some(tensor) = reader.get("data") else {
            return refuse("expected a tensor named data".into());
        };
        let shape = self.shape;
        let expected: Vec<usize> = if self.sharded {
            std::iter::once(keys.len()).chain(shape).collect()
        } else {
            shape.to_vec()
        };
        if tensor.dtype() != DType::I8 || tensor.shape() != expected {
            return refuse(format!(
                "expected int8 of shape {expected:?}, found {:?} of shape {:?}",
                tensor.dtype(),
                tensor.shape()
            ));
        }
        // A view may repeat few bytes many times; the reference stores every code.
        if tensor.byte_len() as u64 > length {
            return refuse(format!(
                "expected a file of at least {} bytes, found {length}",
                tensor.byte_len()
            ));
        }
        tensor
            .read()
            .map_err(|error| artefact(path, error.to_string()))
    }
}

fn canonical(key: &str) -> String {
    key.trim().to_lowercase()
}

fn artefact(path: &Path, reason: String) -> DataError {
    DataError::Artefact {
        path: path.to_path_buf(),
        reason,
    }
}
