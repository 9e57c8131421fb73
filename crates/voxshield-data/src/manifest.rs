//! The record of what was done to a dataset.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Component, Path};

use serde::{Deserialize, Serialize};

use crate::error::DataError;
use crate::fsx::write_file_atomic;
use crate::hash::sha256_volume;
use crate::intensity::{IntensityRange, Modality, Normalisation};
use crate::nifti::StoredVolume;
use crate::signature::{PublicKey, SIGNATURE_NAME};

/// Name of the manifest in the root of a protected dataset.
pub const MANIFEST_NAME: &str = "voxshield.json";
/// The most bytes of a manifest that are read.
pub(crate) const LIMIT: u64 = 1 << 28;

/// Everything needed to say what a protected dataset is, to check it, and to make it again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of this format, [`Manifest::FORMAT`].
    pub format: u32,
    /// The program that wrote it.
    pub program: String,
    /// The program's version.
    pub version: String,
    /// Name of the dataset layout.
    pub layout: String,
    /// Method and its configuration.
    pub method: serde_json::Value,
    /// Budget in normalised units.
    pub epsilon: f64,
    /// Where voxels may change, by name (`roi`, `body`, ...); settings are in `method`.
    pub support: String,
    /// Seed of every random choice.
    pub seed: u64,
    /// What it was computed on.
    pub device: String,
    /// Normalisation of each channel.
    pub normalisation: Vec<NormalisationRecord>,
    /// Protected cases.
    pub cases: Vec<CaseRecord>,
    /// Cases that could not be protected.
    pub failed: Vec<FailedCase>,
    /// Cases left out on purpose.
    pub skipped: Vec<FailedCase>,
    /// Files beside the cases, copied byte for byte; none in manifests of older versions, which did not list them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub others: Option<Vec<OtherRecord>>,
}

/// How one channel was normalised.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NormalisationRecord {
    /// The channel's name.
    pub channel: String,
    /// Its modality, said by the dataset or guessed.
    pub modality: Option<Modality>,
    /// How (lo, hi) were chosen.
    pub normalisation: Normalisation,
}

/// One protected case.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CaseRecord {
    /// The case's id.
    pub id: String,
    /// Its image files.
    pub files: Vec<FileRecord>,
    /// Its label files, copied byte for byte: one, or two for an `.hdr`/`.img` pair; empty without label.
    #[serde(default)]
    pub labels: Vec<LabelRecord>,
    /// The encrypted residual that `unlock` restores the case from, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unlock: Option<UnlockRecord>,
    /// (lo, hi) of each channel in file units.
    pub ranges: Vec<IntensityRange>,
    /// Largest change allowed per channel in stored steps; null for float files.
    pub epsilon_stored: Vec<Option<i64>>,
    /// Largest `|v' - v| / (hi - lo)` in the written files.
    pub achieved: f64,
    /// Stored voxels whose bits changed, all channels together.
    pub changed_voxels: u64,
    /// Voxels that were allowed to change.
    pub support_voxels: u64,
    /// Peak signal-to-noise ratio in dB; null when nothing changed (infinite).
    pub psnr_db: Option<f64>,
    /// Structural similarity, 0 to 1.
    pub ssim: f64,
    /// Seconds spent.
    pub seconds: f64,
}

impl CaseRecord {
    /// The relative paths of all files of the case: images, labels and the residual; of a pair of images, the header.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        let labels = self.labels.iter().map(|label| label.path.as_str());
        let unlock = self.unlock.iter().map(|unlock| unlock.path.as_str());
        let files = self.files.iter().map(|file| file.path.as_str());
        files.chain(labels).chain(unlock)
    }
}

/// One changed file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRecord {
    /// Relative path with `/`.
    pub path: String,
    /// SHA-256 of the source file, as [`sha256_volume`] has it for a pair.
    pub sha256_before: String,
    /// SHA-256 of the written file, or pair.
    pub sha256_after: String,
    /// SHA-256 of the source, uncompressed ([`StoredVolume::content_sha256`]): what a file that was compressed again still has. Empty in manifests
    /// of older versions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub content_before: Vec<String>,
}

impl FileRecord {
    /// Whether a file is the source, or has its content in other compression.
    ///
    /// # Errors
    /// As [`sha256_volume`] and [`StoredVolume::read`].
    pub fn is_source(&self, path: &Path) -> Result<bool, DataError> {
        if sha256_volume(path)? == self.sha256_before {
            return Ok(true);
        }
        Ok(!self.content_before.is_empty()
            && StoredVolume::content_sha256_of(path)? == self.content_before)
    }
}

/// One copied label file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabelRecord {
    /// Relative path with `/`.
    pub path: String,
    /// SHA-256 of source and copy.
    pub sha256: String,
}

/// One copied file beside the cases.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OtherRecord {
    /// Relative path with `/`.
    pub path: String,
    /// SHA-256 of source and copy.
    pub sha256: String,
}

/// One encrypted residual.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnlockRecord {
    /// Relative path with `/`.
    pub path: String,
    /// SHA-256 of the file. Encryption draws a new key each time, so it differs between equal runs.
    pub sha256: String,
    /// [`Recipients::fingerprint`](crate::Recipients::fingerprint) of those who can open it; none in older manifests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipients: Option<String>,
}

/// One case that is not in the protected dataset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedCase {
    /// The case's id.
    pub id: String,
    /// Relative path with `/` of the file at fault.
    pub path: String,
    /// Why.
    pub reason: String,
}

impl Manifest {
    /// The format version that this crate reads and writes.
    pub const FORMAT: u32 = 1;

    /// Reads a manifest. Its paths are checked to stay inside the dataset, and to be different ones on every system.
    ///
    /// # Errors
    /// [`DataError::Io`] when it cannot be read, [`DataError::TooLarge`] above 256 MiB, [`DataError::Json`] when it is not a manifest of
    /// this format or has a case or a path twice (capitals or not), [`DataError::UnsafePath`] for a path that leaves the folder, or would be
    /// another one on another system.
    pub fn read(path: &Path) -> Result<Self, DataError> {
        Self::parse(path, &read_bounded(path, LIMIT)?)
    }

    /// As [`Manifest::read`], if the owner signed it: nothing of it is looked at before.
    ///
    /// # Errors
    /// As [`PublicKey::check`] and [`Manifest::read`].
    pub fn read_signed(path: &Path, key: &PublicKey) -> Result<Self, DataError> {
        Self::parse(path, &key.check(path)?)
    }

    fn parse(path: &Path, bytes: &[u8]) -> Result<Self, DataError> {
        let manifest: Self = serde_json::from_slice(bytes).map_err(|error| json(path, &error))?;
        if manifest.format != Self::FORMAT {
            return Err(DataError::Json {
                path: path.to_path_buf(),
                reason: format!(
                    "manifest format {} instead of {}: it was written by another version of the program",
                    manifest.format,
                    Self::FORMAT
                ),
            });
        }
        manifest.check_paths(path)?;
        Ok(manifest)
    }

    /// Writes the manifest atomically, as indented JSON. Every f64 reads back with the same bits.
    ///
    /// # Errors
    /// As [`Manifest::to_bytes`]; [`DataError::Io`] when writing fails.
    pub fn write_atomic(&self, path: &Path) -> Result<(), DataError> {
        write_file_atomic(path, &self.to_bytes(path)?)
    }

    /// What [`Manifest::write_atomic`] writes; `path` is named in errors.
    ///
    /// # Errors
    /// [`DataError::Json`] when a number is NaN or infinite, which JSON cannot say; for what could not be read back, the errors of [`Manifest::read`].
    pub fn to_bytes(&self, path: &Path) -> Result<Vec<u8>, DataError> {
        self.check_paths(path)?;
        let mut bytes = serde_json::to_vec_pretty(self).map_err(|error| json(path, &error))?;
        bytes.push(b'\n');
        // NaN and infinity become null: better refused now than found by whoever verifies.
        let again: Result<Self, _> = serde_json::from_slice(&bytes);
        if !again.is_ok_and(|again| again == *self) {
            return Err(DataError::Json {
                path: path.to_path_buf(),
                reason: "the manifest has a number that is NaN or infinite".to_string(),
            });
        }
        Ok(bytes)
    }

    /// Every path must be fit for every system and every file be listed once, or one record could hide another.
    fn check_paths(&self, path: &Path) -> Result<(), DataError> {
        let twice = |what: String| DataError::Json {
            path: path.to_path_buf(),
            reason: format!("{what} is listed twice (capitals do not count)"),
        };
        let mut ids = BTreeSet::new();
        for case in &self.cases {
            if !ids.insert(case.id.to_lowercase()) {
                return Err(twice(format!("the case {:?}", case.id)));
            }
        }
        let mut files = BTreeSet::from([MANIFEST_NAME, SIGNATURE_NAME].map(str::to_owned));
        let others = self.others.iter().flatten();
        let others = others.map(|other| other.path.as_str());
        for entry in self.cases.iter().flat_map(CaseRecord::paths).chain(others) {
            check_relative(path, entry)?;
            if !files.insert(folded(entry)) {
                return Err(twice(format!("the file {entry:?}")));
            }
        }
        Ok(())
    }
}

/// A path as a file system that ignores capitals knows it, without `.` and doubled separators.
fn folded(entry: &str) -> String {
    let parts = entry.split('/').filter(|part| !matches!(*part, "" | "."));
    parts.collect::<Vec<_>>().join("/").to_lowercase()
}

/// What no path of a manifest has, and why: it must be the same file on every system.
const FORBIDDEN: [(char, &str); 3] = [
    (
        '\\',
        "`\\` separates folders on Windows, where the path would be that of another file",
    ),
    (
        ':',
        "`:` ends the name of a drive on Windows, where no file name may have it",
    ),
    ('\0', "no file name may have a NUL"),
];

/// The first name in a relative path that a manifest cannot hold, and why; none in a path that [`Manifest::write_atomic`] takes.
pub(crate) fn unfit_name(path: &Path) -> Option<(String, &'static str)> {
    path.components().find_map(|part| {
        let name = part.as_os_str();
        let reason = match name.to_str() {
            None => "it is not UTF-8, and JSON has to be",
            Some(text) => {
                FORBIDDEN
                    .iter()
                    .find(|(letter, _)| text.contains(*letter))?
                    .1
            }
        };
        Some((format!("{name:?}"), reason))
    })
}

/// Refuses an entry that is empty, absolute, or has `..`, a backslash, a colon or a NUL.
pub(crate) fn check_relative(path: &Path, entry: &str) -> Result<(), DataError> {
    let normal = Path::new(entry)
        .components()
        .all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    let forbidden = FORBIDDEN.map(|(letter, _)| letter);
    if normal && !entry.is_empty() && !entry.contains(forbidden) {
        return Ok(());
    }
    Err(DataError::UnsafePath {
        path: path.to_path_buf(),
        entry: entry.to_string(),
    })
}

/// The bytes of a small file that nobody vouches for.
pub(crate) fn read_bounded(path: &Path, limit: u64) -> Result<Vec<u8>, DataError> {
    // Asked before opening: opening a named pipe would wait for ever.
    let metadata = fs::metadata(path).map_err(DataError::io("open the file", path))?;
    if !metadata.is_file() {
        let error = io::Error::new(io::ErrorKind::InvalidInput, "not a regular file");
        return Err(DataError::io("open the file", path)(error));
    }
    let file = File::open(path).map_err(DataError::io("open the file", path))?;
    let mut bytes = Vec::new();
    file.take(limit + 1)
        .read_to_end(&mut bytes)
        .map_err(DataError::io("read the file", path))?;
    if bytes.len() as u64 > limit {
        return Err(DataError::TooLarge {
            path: path.to_path_buf(),
            what: "JSON",
            found: bytes.len() as u64,
            limit,
        });
    }
    Ok(bytes)
}

pub(crate) fn json(path: &Path, error: &serde_json::Error) -> DataError {
    DataError::Json {
        path: path.to_path_buf(),
        reason: error.to_string(),
    }
}
