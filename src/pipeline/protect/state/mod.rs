//! What an interrupted run leaves behind, and goes on from: a hidden folder in the output, gone when the run is complete.
//!
//! | file | content |
//! |---|---|
//! | `lock` | locked by the one process that writes the output, or shared by those that write shards of it; the system frees it when they end, however they end |
//! | `lock-I-of-N` | locked by the process that writes that shard |
//! | `journal`, `journal-I-of-N` | what the run is, then a line for each finished case, appended and flushed to the disk |
//! | `training` | the state of the optimisation after a round, replaced as a whole |
//! | `deltas` | a folder with the perturbations of a method that keeps one for each case: those of `training`, and those since |

mod complete;
mod folder;
mod journal;
mod training;

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

pub(super) use self::{complete::completed, training::TrainingFile};
use self::{
    complete::{finished_run, is_intact},
    folder::{LOCK, forget, lock, refuse_links},
    journal::Journal,
};
use super::folders::has_others;
use crate::{
    data::{
        Case, CaseRecord, MANIFEST_NAME, SIGNATURE_NAME, file_parts, remove_stale_temporaries,
        sha256_bytes, sha256_file,
    },
    pipeline::{
        PipelineError, ProtectOptions, Scanned, Shard, lanes::in_order, write::unlock_path,
    },
};

/// The folder's name in the output; [`Tree`](crate::data::Tree) leaves hidden folders out.
pub(in crate::pipeline) const STATE_FOLDER: &str = ".voxshield";

/// A run that holds the output.
pub(super) struct RunState {
    folder: PathBuf,
    journal: Journal,
    /// Cases that are finished, and whose files are still what they were.
    pub(super) done: BTreeMap<String, CaseRecord>,
    shard: Option<Shard>,
    // Dropped last: the output is ours until then.
    _locks: Vec<File>,
}

impl RunState {
    /// Takes the output folder, creating it, and finds out what is done already if the run is to be resumed.
    ///
    /// `None` if the output is no longer what it was before the dataset was read: another process has completed it, or what is in it
    /// was written by no run. It is as it was then, and is to be judged again.
    pub(super) fn begin(
        output: &Path,
        options: &ProtectOptions,
        scanned: &Scanned,
    ) -> Result<Option<Self>, PipelineError> {
        refuse_links(output)?;
        let folder = folder::create(output)?;
        let own = options
            .shard
            .map(|shard| shard.to_string().replace('/', "-of-"));
        let own = own.map_or_else(String::new, |name| format!("-{name}"));
        let mut locks = vec![lock(&folder.join(LOCK), output, options.shard.is_some())?];
        if options.shard.is_some() {
            locks.push(lock(&folder.join(format!("{LOCK}{own}")), output, false)?);
        }
        if !options.resume && folder.join(journal::NAME).exists() {
            return Err(PipelineError::Unfinished {
                path: output.to_path_buf(),
            });
        }
        // Complete but for this folder, of which a process that was killed may have left a part.
        let finished = match options.resume {
            true => finished_run(&scanned.dataset, output, options),
            false => Ok(None),
        };
        // Files come after their journal and go before it: in this order, those of another shard are not met without.
        let foreign = has_others(output)? && !Journal::any(&folder);
        if foreign || matches!(finished, Ok(Some(_))) {
            // What stays is in nobody's way but that of the next run, which comes here again.
            let _ = fs::remove_dir_all(&folder);
            return Ok(None);
        }
        finished?;
        let header = header(options, scanned)?;
        // Before anything is written: what is refused leaves the other run as it was.
        Journal::check_all(&folder, &header)?;
        let (journal, mut records) =
            Journal::open(&folder, &format!("{}{own}", journal::NAME), &header)?;
        if options.resume && options.shard.is_none() {
            records.extend(Journal::of_shards(&folder, &header)?);
            // Those of other shards may be in use; now there is no other process.
            clean(output)?;
        }
        let mut state = Self {
            folder,
            journal,
            done: BTreeMap::new(),
            shard: options.shard,
            _locks: locks,
        };
        // The output is unfinished again before anything of it is removed.
        for name in [MANIFEST_NAME, SIGNATURE_NAME] {
            remove_if_there(&output.join(name))?;
        }
        if options.resume {
            state.keep_intact(output, scanned, records);
            for at in (0..scanned.cases.len()).filter(|&at| !state.is_done(scanned, at)) {
                remove_files(output, &scanned.cases[at].case);
            }
        }
        Ok(Some(state))
    }

    /// Whether nothing is to be done for the case at this position of the dataset: it is finished, or another shard's.
    pub(super) fn is_done(&self, scanned: &Scanned, position: usize) -> bool {
        let id = &scanned.cases[position].case.id;
        self.done.contains_key(id) || self.shard.is_some_and(|shard| !shard.has(position))
    }

    /// Notes that a case is finished; on the disk when this returns.
    pub(super) fn finished(&mut self, record: &CaseRecord) -> Result<(), PipelineError> {
        self.journal.append(record)
    }

    /// Where the state of the optimisation is kept.
    pub(super) fn training(&self) -> TrainingFile {
        TrainingFile::new(&self.folder)
    }

    /// The folder, for what is needed until the run is complete.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Takes the run back, if it has nothing to go on from: after an error that came before any work, another command may
    /// begin in the same folder.
    pub(super) fn abandon(self, output: &Path) {
        if self.training().exists() || !self.done.is_empty() {
            return;
        }
        // What cannot be removed is in nobody's way but that of the next run, which says so.
        let _ = self.journal.remove();
        // Other shards may be at work.
        if self.shard.is_none() && !Journal::any(&self.folder) {
            let _ = fs::remove_dir_all(&self.folder);
            // Not if there is anything in it.
            let _ = fs::remove_dir(output);
        }
    }

    /// Removes the state of the optimisation, which shows what was added to the data: it is not to lie beside a manifest.
    pub(super) fn forget(&self) -> Result<(), PipelineError> {
        forget(&self.folder)
    }

    /// Removes the folder: the run is complete, since its manifest is there. What is left of the folder if the process is killed here
    /// does not count any more.
    pub(super) fn complete(self) -> Result<(), PipelineError> {
        fs::remove_dir_all(&self.folder)
            .map_err(PipelineError::io("remove the folder", &self.folder))
    }

    /// Keeps the records whose files are there and unchanged, source and result.
    fn keep_intact(&mut self, output: &Path, scanned: &Scanned, records: Vec<CaseRecord>) {
        let root = &scanned.dataset.root;
        in_order(
            records.len(),
            |index| is_intact(root, output, &records[index]),
            |index, good| {
                if good {
                    let record = records[index].clone();
                    self.done.insert(record.id.clone(), record);
                }
            },
        );
    }
}

/// What a run is: when any of it differs, it is another run.
fn header(options: &ProtectOptions, scanned: &Scanned) -> Result<Value, PipelineError> {
    let mut sources = Vec::with_capacity(scanned.cases.len());
    in_order(
        scanned.cases.len(),
        |index| -> Result<Value, PipelineError> {
            let case = &scanned.cases[index];
            let paths = case.case.images.iter().chain(&case.case.label);
            let mut hashes = Vec::new();
            for path in paths {
                for part in file_parts(&scanned.dataset.root.join(path))? {
                    hashes.push(sha256_file(&part)?);
                }
            }
            Ok(json!([case.case.id, hashes, case.ranges]))
        },
        |_, source| sources.push(source),
    );
    let sources = Value::Array(sources.into_iter().collect::<Result<_, _>>()?);
    Ok(json!({
        "version": env!("CARGO_PKG_VERSION"),
        "device": options.device.to_string(),
        "options": options.to_json(),
        "recipients": options.unlock_to.fingerprint(),
        "sources": sha256_bytes(sources.to_string().as_bytes()),
    }))
}

/// Removes the temporary files of killed runs, in all folders.
fn clean(folder: &Path) -> Result<(), PipelineError> {
    remove_stale_temporaries(folder)?;
    for entry in fs::read_dir(folder).map_err(PipelineError::io("list the folder", folder))? {
        let entry = entry.map_err(PipelineError::io("list the folder", folder))?;
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            clean(&entry.path())?;
        }
    }
    Ok(())
}

/// Removes what an interrupted run may have written of a case that it did not finish.
fn remove_files(output: &Path, case: &Case) {
    let unlock = unlock_path(case);
    for relative in case.images.iter().chain(&case.label).chain(&unlock) {
        let path = output.join(relative);
        for part in file_parts(&path).unwrap_or_else(|_| vec![path]) {
            // Mostly, it is not there.
            let _ = fs::remove_file(part);
        }
    }
}

fn remove_if_there(path: &Path) -> Result<(), PipelineError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(PipelineError::io("remove the file", path)(error))
        }
        _ => Ok(()),
    }
}
