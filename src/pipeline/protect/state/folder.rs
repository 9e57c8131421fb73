use std::{
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
};

use super::{STATE_FOLDER, journal};
use crate::{data::private_file, pipeline::PipelineError};

/// What the names of all locks begin with.
pub(super) const LOCK: &str = "lock";

/// Creates the folder in the output, and the output, where they are missing. Only the owner can look into it: the state of an optimisation
/// shows what is added to the data.
pub(super) fn create(output: &Path) -> Result<PathBuf, PipelineError> {
    fs::create_dir_all(output).map_err(PipelineError::io("create the folder", output))?;
    let folder = output.join(STATE_FOLDER);
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
        .create(&folder)
        .map_err(PipelineError::io("create the folder", &folder))?;
    Ok(folder)
}

/// An error that names a symbolic link below the folder, if there is one: who writes through it changes what lies outside.
pub(super) fn refuse_links(folder: &Path) -> Result<(), PipelineError> {
    let failed = || PipelineError::io("list the folder", folder);
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(failed())?,
    };
    for entry in entries {
        let entry = entry.map_err(failed())?;
        // A temporary file of another shard may be gone by now.
        let Ok(kind) = entry.file_type() else {
            continue;
        };
        if kind.is_symlink() {
            return Err(PipelineError::LinkInOutput { path: entry.path() });
        }
        if kind.is_dir() {
            refuse_links(&entry.path())?;
        }
    }
    Ok(())
}

/// The lock of that path, held until the file is closed; its content, if it has any, stays.
pub(super) fn lock(path: &Path, output: &Path, shared: bool) -> Result<File, PipelineError> {
    let file = private_file()
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .map_err(PipelineError::io("create the file", path))?;
    let outcome = match shared {
        true => file.try_lock_shared(),
        false => file.try_lock(),
    };
    match outcome {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(PipelineError::Locked {
            path: output.to_path_buf(),
        }),
        Err(TryLockError::Error(source)) => Err(PipelineError::io("lock the file", path)(source)),
    }
}

/// Removes everything in the folder but journals and locks.
pub(super) fn forget(folder: &Path) -> Result<(), PipelineError> {
    let failed = || PipelineError::io("list the folder", folder);
    for entry in fs::read_dir(folder).map_err(failed())? {
        let entry = entry.map_err(failed())?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with(journal::NAME) || name.starts_with(LOCK) {
            continue;
        }
        let path = entry.path();
        let removed = match path.is_dir() {
            true => fs::remove_dir_all(&path),
            false => fs::remove_file(&path),
        };
        removed.map_err(PipelineError::io("remove", &path))?;
    }
    Ok(())
}
