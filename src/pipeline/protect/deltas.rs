use std::{
    fs::{File, OpenOptions},
    io::{self, ErrorKind, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use crate::{
    perturb::{DeltaStore, SourceError, Window},
    pipeline::PipelineError,
};

/// Perturbations in files, one a case and a byte a voxel, so that memory does not grow with the cases.
///
/// The files are in a temporary folder, which is removed with the store. They are as long as the case from the first window on; where
/// nothing was written, a file system with sparse files keeps nothing.
#[derive(Debug)]
pub(in crate::pipeline) struct FileDeltas {
    folder: TempDir,
    channels: usize,
}

impl FileDeltas {
    /// An empty store in a new folder within `parent`, for volumes of `channels`.
    pub(super) fn create(parent: &Path, channels: usize) -> Result<Self, PipelineError> {
        let folder = tempfile::Builder::new()
            .prefix("deltas-")
            .tempdir_in(parent)
            .map_err(|source| PipelineError::Io {
                action: "create a temporary folder in",
                path: parent.to_path_buf(),
                source,
            })?;
        Ok(Self { folder, channels })
    }

    fn path(&self, case: usize) -> PathBuf {
        self.folder.path().join(format!("{case}.i8"))
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
        let path = self.path(case);
        let result = File::open(&path).and_then(|mut file| {
            for (from, to, length) in self.runs(window) {
                file.seek(SeekFrom::Start(from))?;
                file.read_exact(&mut bytes[to..to + length])?;
            }
            Ok(())
        });
        match result {
            // Nothing was written yet.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(source) => return Err(failed("read", path, source)),
            Ok(()) => {}
        }
        Ok(bytes
            .into_iter()
            .map(|byte: u8| byte.cast_signed())
            .collect())
    }

    fn write(&mut self, case: usize, window: Window, codes: &[i8]) -> Result<(), SourceError> {
        let path = self.path(case);
        let size = self.channels * window.volume.iter().product::<usize>();
        let bytes: Vec<u8> = codes.iter().map(|code| code.cast_unsigned()).collect();
        let options = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path);
        options
            .and_then(|mut file| {
                file.set_len(size as u64)?;
                for (to, from, length) in self.runs(window) {
                    file.seek(SeekFrom::Start(to))?;
                    file.write_all(&bytes[from..from + length])?;
                }
                Ok(())
            })
            .map_err(|source| failed("write", path, source))
    }
}

fn failed(action: &'static str, path: PathBuf, source: io::Error) -> SourceError {
    Box::new(PipelineError::Io {
        action,
        path,
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::perturb::MemoryDeltas;

    #[test]
    fn files_hold_what_memory_holds_and_go_with_the_store() {
        let parent = tempfile::tempdir().unwrap();
        let mut files = FileDeltas::create(parent.path(), 2).unwrap();
        let mut memory = MemoryDeltas::new(2);
        let volume = [6, 9, 7];
        let window = |start: [i64; 3], shape: [usize; 3]| Window {
            volume,
            start,
            shape,
        };
        let windows = [
            window([0, 0, 0], [3, 9, 7]),
            window([-1, 4, 2], [4, 8, 4]),
            window([3, 8, -2], [8, 3, 12]),
            window([9, 0, 0], [2, 2, 2]),
        ];
        for (index, &window) in windows.iter().enumerate() {
            let count = 2 * window.voxels();
            let codes: Vec<i8> = (0..count)
                .map(|i| ((i * 7 + index) % 255) as u8 as i8)
                .collect();
            for case in [0, 3] {
                files.write(case, window, &codes).unwrap();
                memory.write(case, window, &codes).unwrap();
            }
            for &other in windows.iter().chain([&Window::whole(volume)]) {
                for case in [0, 1, 3] {
                    let found = files.read(case, other).unwrap();
                    assert_eq!(found, memory.read(case, other).unwrap(), "{other:?}");
                }
            }
        }
        assert_eq!(parent.path().read_dir().unwrap().count(), 1);
        drop(files);
        assert_eq!(parent.path().read_dir().unwrap().count(), 0);
    }
}
