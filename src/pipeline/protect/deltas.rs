use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use tempfile::TempDir;

use crate::{
    data::{private_file, sha256_bytes, sha256_file},
    perturb::{DeltaStore, SourceError, Window},
    pipeline::PipelineError,
};

/// The folder's name in that of the run's state.
const FOLDER: &str = "deltas";

/// Perturbations in files, one a case and a byte a voxel, so that memory does not grow with the cases.
///
/// A file is as long as the case from the first window on; where nothing was written, a file system with sparse files keeps nothing.
/// It is named after the case and the epoch that it is of: an epoch ends with a [snapshot](DeltaStore::snapshot), and its files are not
/// written to any more, but copied when a later epoch writes to the case. So a case has two files at most.
#[derive(Debug)]
pub(in crate::pipeline) struct FileDeltas {
    folder: PathBuf,
    channels: usize,
    epoch: AtomicU64,
    /// The epoch of each case's last file.
    written: BTreeMap<usize, u64>,
    _temporary: Option<TempDir>,
}

impl FileDeltas {
    /// An empty store for volumes of `channels`, in a new folder within `parent` that is removed with the store.
    pub(super) fn temporary(parent: &Path, channels: usize) -> Result<Self, PipelineError> {
        let builder = tempfile::Builder::new()
            .prefix("deltas-")
            .tempdir_in(parent);
        let folder = builder.map_err(PipelineError::io("create a temporary folder in", parent))?;
        Ok(Self {
            folder: folder.path().to_path_buf(),
            _temporary: Some(folder),
            ..Self::empty(PathBuf::new(), channels)
        })
    }

    /// An empty store that stays in `parent`, in place of another.
    pub(super) fn create(parent: &Path, channels: usize) -> Result<Self, PipelineError> {
        let folder = parent.join(FOLDER);
        if folder.exists() {
            fs::remove_dir_all(&folder).map_err(PipelineError::io("remove the folder", &folder))?;
        }
        fs::create_dir(&folder).map_err(PipelineError::io("create the folder", &folder))?;
        Ok(Self::empty(folder, channels))
    }

    /// The store in `parent` as it was at a snapshot. What was written since is removed.
    ///
    /// # Errors
    /// [`PipelineError::Io`] if the files of the snapshot are not there, or not as they were.
    pub(super) fn reopen(
        parent: &Path,
        channels: usize,
        snapshot: &str,
    ) -> Result<Self, PipelineError> {
        let mut store = Self::empty(parent.join(FOLDER), channels);
        let folder = store.folder.clone();
        let damaged = || {
            PipelineError::io("find the snapshot in", &folder)(io::ErrorKind::InvalidData.into())
        };
        let epoch = snapshot
            .split_once(' ')
            .and_then(|(epoch, _)| epoch.parse().ok());
        let epoch: u64 = epoch.ok_or_else(damaged)?;
        let mut files = BTreeMap::new();
        for entry in fs::read_dir(&folder).map_err(PipelineError::io("list the folder", &folder))? {
            let name = entry
                .map_err(PipelineError::io("list the folder", &folder))?
                .file_name();
            let name = name.to_string_lossy().into_owned();
            let parts = name
                .strip_suffix(".i8")
                .and_then(|name| name.split_once('-'));
            let parts = parts.and_then(|(case, of)| Some((case.parse().ok()?, of.parse().ok()?)));
            let file: (usize, u64) = parts.ok_or_else(damaged)?;
            if file.1 <= epoch {
                let last = store.written.entry(file.0).or_default();
                *last = file.1.max(*last);
            }
            files.insert(file, folder.join(name));
        }
        if store
            .name(epoch)
            .map_err(PipelineError::io("read", &folder))?
            != snapshot
        {
            return Err(damaged());
        }
        for ((case, of), path) in files {
            if store.written.get(&case) != Some(&of) {
                fs::remove_file(&path).map_err(PipelineError::io("remove", &path))?;
            }
        }
        store.epoch = AtomicU64::new(epoch + 1);
        Ok(store)
    }

    fn empty(folder: PathBuf, channels: usize) -> Self {
        Self {
            folder,
            channels,
            epoch: AtomicU64::new(1),
            written: BTreeMap::new(),
            _temporary: None,
        }
    }

    fn path(&self, case: usize, epoch: u64) -> PathBuf {
        self.folder.join(format!("{case}-{epoch}.i8"))
    }

    /// The file to write to: that of a case in this epoch, which begins as the one before ended.
    fn writable(&mut self, case: usize, size: u64) -> Result<PathBuf, SourceError> {
        let epoch = self.epoch.load(Ordering::Relaxed);
        let path = self.path(case, epoch);
        match self.written.insert(case, epoch) {
            Some(of) if of == epoch => {}
            Some(of) => {
                // All that is older than the snapshot.
                for old in (0..of)
                    .map(|old| self.path(case, old))
                    .filter(|old| old.exists())
                {
                    fs::remove_file(&old).map_err(PipelineError::io("remove", &old))?;
                }
                fs::copy(self.path(case, of), &path).map_err(PipelineError::io("write", &path))?;
            }
            None => {
                let created = private_file()
                    .write(true)
                    .create(true)
                    .truncate(true)
                    .open(&path);
                let created = created.and_then(|file| file.set_len(size));
                created.map_err(PipelineError::io("write", &path))?;
            }
        }
        Ok(path)
    }

    /// What the store as it is is called: the epoch, and a hash of all of it.
    fn name(&self, epoch: u64) -> io::Result<String> {
        let mut hashes = String::new();
        for (&case, &of) in &self.written {
            let hash = sha256_file(&self.path(case, of)).map_err(io::Error::other)?;
            hashes.push_str(&format!("{case} {of} {hash}\n"));
        }
        Ok(format!("{epoch} {}", sha256_bytes(hashes.as_bytes())))
    }

    /// Where the runs of a window are in the file and in an array of the window, with their lengths.
    fn runs(&self, window: Window) -> impl Iterator<Item = (u64, usize, usize)> + use<> {
        let volume: usize = window.volume.iter().product();
        (0..self.channels).flat_map(move |channel| {
            window.runs().map(move |run| {
                let file = (channel * volume + run.volume) as u64;
                let array = channel * window.voxels() + run.window;
                (file, array, run.length)
            })
        })
    }
}

impl DeltaStore for FileDeltas {
    fn read(&self, case: usize, window: Window) -> Result<Vec<i8>, SourceError> {
        let mut bytes = vec![0; self.channels * window.voxels()];
        if let Some(&epoch) = self.written.get(&case) {
            let path = self.path(case, epoch);
            let result = File::open(&path).and_then(|mut file| {
                for (from, to, length) in self.runs(window) {
                    file.seek(SeekFrom::Start(from))?;
                    file.read_exact(&mut bytes[to..to + length])?;
                }
                Ok(())
            });
            result.map_err(PipelineError::io("read", &path))?;
        }
        Ok(bytes
            .into_iter()
            .map(|byte: u8| byte.cast_signed())
            .collect())
    }

    fn write(&mut self, case: usize, window: Window, codes: &[i8]) -> Result<(), SourceError> {
        let size = self.channels * window.volume.iter().product::<usize>();
        let path = self.writable(case, size as u64)?;
        let bytes: Vec<u8> = codes.iter().map(|code| code.cast_unsigned()).collect();
        let written = OpenOptions::new()
            .write(true)
            .open(&path)
            .and_then(|mut file| {
                for (to, from, length) in self.runs(window) {
                    file.seek(SeekFrom::Start(to))?;
                    file.write_all(&bytes[from..from + length])?;
                }
                Ok(())
            });
        Ok(written.map_err(PipelineError::io("write", &path))?)
    }

    fn snapshot(&self) -> Result<String, SourceError> {
        let epoch = self.epoch.fetch_add(1, Ordering::Relaxed);
        for (&case, _) in self.written.iter().filter(|&(_, &of)| of == epoch) {
            let path = self.path(case, epoch);
            let flushed = File::open(&path).and_then(|file| file.sync_all());
            flushed.map_err(PipelineError::io("write", &path))?;
        }
        let folder = File::open(&self.folder).and_then(|folder| folder.sync_all());
        folder.map_err(PipelineError::io("write", &self.folder))?;
        let name = self.name(epoch);
        Ok(name.map_err(PipelineError::io("read", &self.folder))?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::perturb::MemoryDeltas;

    const VOLUME: [usize; 3] = [6, 9, 7];

    fn window(start: [i64; 3], shape: [usize; 3]) -> Window {
        Window {
            volume: VOLUME,
            start,
            shape,
        }
    }

    fn codes(index: usize, window: Window) -> Vec<i8> {
        let count = 2 * window.voxels();
        (0..count)
            .map(|i| ((i * 7 + index) % 255) as u8 as i8)
            .collect()
    }

    #[test]
    fn files_hold_what_memory_holds_and_go_with_the_store() {
        let parent = tempfile::tempdir().unwrap();
        let mut files = FileDeltas::temporary(parent.path(), 2).unwrap();
        let mut memory = MemoryDeltas::new(2);
        let windows = [
            window([0, 0, 0], [3, 9, 7]),
            window([-1, 4, 2], [4, 8, 4]),
            window([3, 8, -2], [8, 3, 12]),
            window([9, 0, 0], [2, 2, 2]),
        ];
        for (index, &window) in windows.iter().enumerate() {
            let codes = codes(index, window);
            for case in [0, 3] {
                files.write(case, window, &codes).unwrap();
                memory.write(case, window, &codes).unwrap();
            }
            for &other in windows.iter().chain([&Window::whole(VOLUME)]) {
                for case in [0, 1, 3] {
                    let found = files.read(case, other).unwrap();
                    assert_eq!(found, memory.read(case, other).unwrap(), "{other:?}");
                }
            }
            files.snapshot().unwrap();
        }
        assert_eq!(parent.path().read_dir().unwrap().count(), 1);
        drop(files);
        assert_eq!(parent.path().read_dir().unwrap().count(), 0);
    }

    /// As a killed process leaves them: nothing is closed or removed.
    #[test]
    fn a_snapshot_comes_back_whatever_was_written_since() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path();
        let all = |files: &FileDeltas| {
            [0, 1, 2].map(|case| files.read(case, Window::whole(VOLUME)).unwrap())
        };
        let part = window([1, 2, 3], [4, 4, 4]);
        let mut files = FileDeltas::create(path, 2).unwrap();
        let mut kept = (all(&files), files.snapshot().unwrap());
        for round in 0..4 {
            for since in 0..2 {
                for case in [0, 2 * (round % 2)] {
                    files
                        .write(case, part, &codes(round + since, part))
                        .unwrap();
                }
                let mut back = FileDeltas::reopen(path, 2, &kept.1).unwrap();
                assert!(all(&back) == kept.0, "{round}");
                // It goes on, and is killed again.
                back.write(1, part, &codes(9, part)).unwrap();
                files = FileDeltas::reopen(path, 2, &kept.1).unwrap();
                assert!(all(&files) == kept.0, "{round}");
                files.write(since, part, &codes(round, part)).unwrap();
            }
            assert!(all(&files) != kept.0);
            kept = (all(&files), files.snapshot().unwrap());
        }
        let folder = path.join(FOLDER);
        // The last file of a case: one before it is no longer the snapshot's.
        let (&case, &epoch) = files.written.iter().next().unwrap();
        let damaged = files.path(case, epoch);
        let mut bytes = fs::read(&damaged).unwrap();
        bytes[200] ^= 1;
        fs::write(&damaged, bytes).unwrap();
        assert!(FileDeltas::reopen(path, 2, &kept.1).is_err());
        assert!(FileDeltas::reopen(path, 2, "").is_err());
        let empty = FileDeltas::create(path, 2).unwrap();
        assert_eq!(folder.read_dir().unwrap().count(), 0);
        assert!(all(&empty).iter().flatten().all(|&code| code == 0));
    }
}
