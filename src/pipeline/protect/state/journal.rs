use std::{
    fs::{self, File},
    io::{BufRead, BufReader, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use serde::Serialize;
use serde_json::Value;

use super::complete::{differences, same_run};
use crate::{
    data::{CaseRecord, private_file, sha256_bytes},
    pipeline::PipelineError,
};

pub(super) const NAME: &str = "journal";
/// The most bytes that are read: some kilobytes a case.
const LIMIT: u64 = 1 << 30;
/// Hexadecimal digits of a line's checksum.
const DIGITS: usize = 16;

/// A file to which finished cases are appended. A line is a checksum and JSON; a line that was cut or changed ends the journal,
/// and what comes after it counts as not done.
pub(super) struct Journal {
    file: File,
    path: PathBuf,
}

impl Journal {
    /// Opens the journal of a run, or begins one, and returns the records in it.
    ///
    /// An error if the journal is that of another run.
    pub(super) fn open(
        folder: &Path,
        name: &str,
        header: &Value,
    ) -> Result<(Self, Vec<CaseRecord>), PipelineError> {
        let path = folder.join(name);
        let mut file = private_file()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(PipelineError::io("open the file", &path))?;
        let mut bytes = Vec::new();
        Read::by_ref(&mut file)
            .take(LIMIT)
            .read_to_end(&mut bytes)
            .map_err(PipelineError::io("read the file", &path))?;
        let mut lines = Lines(&bytes);
        let found: Option<Value> = lines.next();
        if let Some(found) = &found {
            check(header, found, folder)?;
        }
        let mut records: Vec<CaseRecord> = Vec::new();
        let mut good = if found.is_some() {
            bytes.len() - lines.0.len()
        } else {
            0
        };
        while let Some(record) = lines.next() {
            records.push(record);
            good = bytes.len() - lines.0.len();
        }
        file.set_len(good as u64)
            .and_then(|()| file.seek(SeekFrom::Start(good as u64)))
            .map_err(PipelineError::io("cut the file", &path))?;
        let mut journal = Self { file, path };
        if found.is_none() {
            journal.append(header)?;
        }
        Ok((journal, records))
    }

    /// An error if any journal in the folder, that of a shard included, is of another run.
    pub(super) fn check_all(folder: &Path, header: &Value) -> Result<(), PipelineError> {
        for name in names(folder)? {
            let path = folder.join(name);
            let mut first = Vec::new();
            File::open(&path)
                .and_then(|file| BufReader::new(file.take(LIMIT)).read_until(b'\n', &mut first))
                .map_err(PipelineError::io("read the file", &path))?;
            if let Some(found) = Lines(&first).next() {
                check(header, &found, folder)?;
            }
        }
        Ok(())
    }

    /// Whether there is a journal.
    pub(super) fn any(folder: &Path) -> bool {
        names(folder).is_ok_and(|names| !names.is_empty())
    }

    /// The records of all shards of a run; the process that asks is the only one.
    pub(super) fn of_shards(
        folder: &Path,
        header: &Value,
    ) -> Result<Vec<CaseRecord>, PipelineError> {
        let mut records = Vec::new();
        for name in names(folder)? {
            if name != NAME {
                records.extend(Self::open(folder, &name, header)?.1);
            }
        }
        Ok(records)
    }

    /// Removes the file.
    pub(super) fn remove(self) -> Result<(), PipelineError> {
        drop(self.file);
        fs::remove_file(&self.path).map_err(PipelineError::io("remove the file", &self.path))
    }

    pub(super) fn append(&mut self, entry: &impl Serialize) -> Result<(), PipelineError> {
        // Neither records nor options have anything that JSON cannot say.
        let text = serde_json::to_string(entry).unwrap_or_default();
        let line = format!("{} {text}\n", checksum(text.as_bytes()));
        self.file
            .write_all(line.as_bytes())
            .and_then(|()| self.file.sync_data())
            .map_err(PipelineError::io("write the file", &self.path))
    }
}

/// The journals in the folder: of a run, and of its shards.
fn names(folder: &Path) -> Result<Vec<String>, PipelineError> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(PipelineError::io("list the folder", folder))? {
        let entry = entry.map_err(PipelineError::io("list the folder", folder))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name == NAME || name.starts_with(&format!("{NAME}-")) {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// Lines that are whole.
struct Lines<'a>(&'a [u8]);

impl Lines<'_> {
    /// The next entry; `None` from the first line on that is cut, changed or of another kind.
    fn next<T: serde::de::DeserializeOwned>(&mut self) -> Option<T> {
        let end = self.0.iter().position(|&byte| byte == b'\n')?;
        let (line, rest) = self.0.split_at_checked(end)?;
        let (sum, text) = line.split_at_checked(DIGITS)?;
        let text = text.strip_prefix(b" ")?;
        if checksum(text).as_bytes() != sum {
            return None;
        }
        let entry = serde_json::from_slice(text).ok()?;
        self.0 = rest.get(1..)?;
        Some(entry)
    }
}

fn checksum(text: &[u8]) -> String {
    let mut sum = sha256_bytes(text);
    sum.truncate(DIGITS);
    sum
}

/// An error naming what differs between this run and the one that was interrupted.
fn check(header: &Value, found: &Value, folder: &Path) -> Result<(), PipelineError> {
    let output = folder.parent().unwrap_or(folder);
    same_run(output, &differences(found, header))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn record(id: &str) -> CaseRecord {
        serde_json::from_value(json!({
            "id": id, "files": [], "ranges": [], "epsilon_stored": [], "achieved": 0.1,
            "changed_voxels": 1, "support_voxels": 2, "psnr_db": null, "ssim": 1.0, "seconds": 0.5
        }))
        .unwrap()
    }

    #[test]
    fn every_cut_and_every_flipped_bit_keeps_a_prefix() {
        let folder = tempfile::tempdir().unwrap();
        let header = json!({ "version": "1", "device": "cpu" });
        let (mut journal, records) = Journal::open(folder.path(), NAME, &header).unwrap();
        assert!(records.is_empty());
        let all = ["a", "b", "c"].map(record);
        all.iter()
            .for_each(|record| journal.append(record).unwrap());
        let path = folder.path().join(NAME);
        let bytes = std::fs::read(&path).unwrap();
        let ends: Vec<usize> = bytes
            .iter()
            .enumerate()
            .filter(|b| *b.1 == b'\n')
            .map(|b| b.0 + 1)
            .collect();
        let reread = |content: &[u8]| {
            std::fs::write(&path, content).unwrap();
            Journal::open(folder.path(), NAME, &header).unwrap().1
        };
        for cut in 0..=bytes.len() {
            let whole = ends
                .iter()
                .filter(|&&end| end <= cut)
                .count()
                .saturating_sub(1);
            assert_eq!(reread(&bytes[..cut]), all[..whole], "cut at {cut}");
        }
        for at in ends[0]..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1 << (at % 8);
            let whole = ends.iter().filter(|&&end| end <= at).count() - 1;
            assert_eq!(reread(&changed), all[..whole], "byte {at}");
            // What follows the damage was cut off, and the journal goes on from there.
            assert_eq!(
                std::fs::metadata(&path).unwrap().len() as usize,
                ends[whole]
            );
        }
    }

    #[test]
    fn another_run_is_named_by_what_differs() {
        let folder = tempfile::tempdir().unwrap();
        let header = json!({ "version": "1", "device": "cpu", "sources": "x" });
        Journal::open(folder.path(), NAME, &header).unwrap();
        let other = json!({ "version": "1", "device": "cpu", "sources": "y" });
        let error = Journal::open(folder.path(), NAME, &other).err().unwrap();
        assert!(
            matches!(&error, PipelineError::OtherRun { what, .. } if what.starts_with("its sources")),
            "{error}"
        );
        // A journal beside it is looked at too, and what is refused is not written.
        let error = Journal::check_all(folder.path(), &other).unwrap_err();
        assert!(matches!(error, PipelineError::OtherRun { .. }), "{error}");
        assert_eq!(names(folder.path()).unwrap(), [NAME]);
    }
}
