use std::path::{Path, PathBuf};

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    data::{DataError, write_file_atomic},
    eval::record::{Cell, Outcome},
    pipeline::PipelineError,
};

/// Finished results as JSON files in the work folder, named by the hash of what they depend on.
pub(super) struct Store {
    folder: PathBuf,
}

impl Store {
    /// The store of a work folder, which is created where it is missing.
    pub(super) fn open(work: &Path) -> Result<Self, PipelineError> {
        let folder = work.join("cells");
        std::fs::create_dir_all(&folder)
            .map_err(PipelineError::io("create the work folder", &folder))?;
        Ok(Self { folder })
    }

    /// The cell of that hash, if an earlier run finished it; one that failed only if `failed` says so. A file that
    /// cannot be read as a cell counts as none.
    pub(super) fn cell(&self, hash: &str, failed: bool) -> Option<Cell> {
        self.read(hash)
            .filter(|cell: &Cell| failed || matches!(cell.outcome, Outcome::Done(_)))
    }

    /// A result of that name.
    pub(super) fn read<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        let bytes = std::fs::read(self.file(name, "json")).ok()?;
        serde_json::from_slice(&bytes).ok()
    }

    /// Keeps a result.
    pub(super) fn write(&self, name: &str, result: &impl Serialize) -> Result<(), PipelineError> {
        write_json(&self.file(name, "json"), result)
    }

    /// Where the weights of a cell's network are kept.
    pub(super) fn weights(&self, hash: &str) -> PathBuf {
        self.file(hash, "safetensors")
    }

    fn file(&self, name: &str, ending: &str) -> PathBuf {
        self.folder.join(format!("{name}.{ending}"))
    }
}

/// Writes a value as JSON, atomically.
pub(super) fn write_json(path: &Path, value: &impl Serialize) -> Result<(), PipelineError> {
    let bytes = serde_json::to_vec_pretty(value).map_err(|error| DataError::Json {
        path: path.to_path_buf(),
        reason: error.to_string(),
    })?;
    Ok(write_file_atomic(path, &bytes)?)
}
