//! Writing files so that a reader sees the old content or the new, never half of it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::DataError;

/// Ending of the hidden files that a write goes to before it is renamed.
const TEMPORARY: &str = ".tmp";

/// Distinguishes the temporary files of one process.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// A file under a hidden name that becomes visible on [`AtomicFile::commit`] and is removed when dropped before.
#[derive(Debug)]
pub(crate) struct AtomicFile {
    file: File,
    temporary: PathBuf,
    target: PathBuf,
    synced: bool,
    renamed: bool,
}

impl AtomicFile {
    /// Opens a temporary file beside `target`, creating missing parent folders.
    pub(crate) fn create(target: &Path) -> Result<Self, DataError> {
        Self::create_with(target, OpenOptions::new())
    }

    /// As [`AtomicFile::create`], with options such as the permissions.
    pub(crate) fn create_with(target: &Path, mut options: OpenOptions) -> Result<Self, DataError> {
        let name = target.file_name().ok_or_else(|| {
            DataError::io("write the file", target)(io::Error::from(io::ErrorKind::InvalidInput))
        })?;
        let folder = parent(target);
        fs::create_dir_all(folder).map_err(DataError::io("create the folder", folder))?;
        loop {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let temporary = folder.join(format!(
                ".{}.{}.{number}{TEMPORARY}",
                name.to_string_lossy(),
                std::process::id()
            ));
            match options.write(true).create_new(true).open(&temporary) {
                Ok(file) => {
                    return Ok(Self {
                        file,
                        temporary,
                        target: target.to_path_buf(),
                        synced: false,
                        renamed: false,
                    });
                }
                // A killed run may have had our process id.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(DataError::io("create the file", target)(error)),
            }
        }
    }

    /// Flushes to the disk, renames over the target and flushes the folder.
    pub(crate) fn commit(mut self) -> Result<(), DataError> {
        self.sync()?;
        fs::rename(&self.temporary, &self.target)
            .map_err(DataError::io("rename the finished file", &self.target))?;
        self.renamed = true;
        sync_folder(parent(&self.target))
    }

    /// As [`AtomicFile::commit`], but never over another file.
    pub(crate) fn commit_new(mut self) -> Result<(), DataError> {
        self.sync()?;
        let named = match fs::hard_link(&self.temporary, &self.target) {
            // A file system without hard links: nothing closes the gap between looking and renaming there.
            Err(error)
                if error.kind() != io::ErrorKind::AlreadyExists
                    && self.target.symlink_metadata().is_err() =>
            {
                fs::rename(&self.temporary, &self.target)
            }
            linked => linked,
        };
        named.map_err(DataError::io("create the file", &self.target))?;
        let folder = parent(&self.target).to_path_buf();
        // The temporary name goes, before the folder is flushed.
        drop(self);
        sync_folder(&folder)
    }

    /// Flushes content to the disk, for writes that commit several files after all of them are complete.
    pub(crate) fn sync(&mut self) -> Result<(), DataError> {
        if !self.synced {
            self.file
                .sync_all()
                .map_err(DataError::io("flush the file", &self.target))?;
            self.synced = true;
        }
        Ok(())
    }
}

impl Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.synced = false;
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for AtomicFile {
    fn drop(&mut self) {
        if !self.renamed {
            // The error that brought us here is the one to report.
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

/// Writes `bytes` to `path`: temporary file in the same folder, flush, rename, flush of the folder.
///
/// # Errors
/// [`DataError::Io`]; the temporary file is removed and `path` keeps its old content.
pub fn write_file_atomic(path: &Path, bytes: &[u8]) -> Result<(), DataError> {
    write_to(AtomicFile::create(path)?, path, bytes)
}

/// As [`write_file_atomic`], a file with the rights of [`private_file`].
///
/// # Errors
/// As [`write_file_atomic`].
pub fn write_private_file_atomic(path: &Path, bytes: &[u8]) -> Result<(), DataError> {
    let file = AtomicFile::create_with(path, private_file())?;
    write_to(file, path, bytes)
}

fn write_to(mut file: AtomicFile, path: &Path, bytes: &[u8]) -> Result<(), DataError> {
    file.write_all(bytes)
        .map_err(DataError::io("write the file", path))?;
    file.commit()
}

/// Options to which a file, if it is created, is one that only its owner can read and write; where the system is no Unix, a file like
/// any other.
#[must_use]
pub fn private_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Copies a regular file byte for byte, as [`write_file_atomic`] writes.
///
/// # Errors
/// [`DataError::Io`] for either file; `to` then keeps its old content.
pub fn copy_file_atomic(from: &Path, to: &Path) -> Result<(), DataError> {
    let mut source = File::open(from).map_err(DataError::io("open the file", from))?;
    let metadata = source
        .metadata()
        .map_err(DataError::io("read the file", from))?;
    if !metadata.is_file() {
        return Err(DataError::io("copy the file", from)(io::Error::new(
            io::ErrorKind::InvalidInput,
            "not a regular file",
        )));
    }
    let mut file = AtomicFile::create(to)?;
    io::copy(&mut source, &mut file).map_err(DataError::io("copy the file", to))?;
    file.commit()
}

/// Removes what killed runs left in a folder (not in its sub-folders): hidden files named by [`write_file_atomic`] and its
/// kin. Call it only where no other run is writing. Returns how many were removed.
///
/// # Errors
/// [`DataError::Io`] when the folder cannot be listed or a file cannot be removed.
pub fn remove_stale_temporaries(folder: &Path) -> Result<usize, DataError> {
    let mut removed = 0;
    for entry in fs::read_dir(folder).map_err(DataError::io("list the folder", folder))? {
        let entry = entry.map_err(DataError::io("list the folder", folder))?;
        let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
        if is_file && is_temporary_name(&entry.file_name().to_string_lossy()) {
            let path = entry.path();
            fs::remove_file(&path).map_err(DataError::io("remove the file", &path))?;
            removed += 1;
        }
    }
    Ok(removed)
}

/// `.NAME.PROCESS.NUMBER.tmp`, and nothing else.
fn is_temporary_name(name: &str) -> bool {
    let Some(inner) = name
        .strip_prefix('.')
        .and_then(|rest| rest.strip_suffix(TEMPORARY))
    else {
        return false;
    };
    let mut parts = inner.rsplitn(3, '.');
    let digits = |part: Option<&str>| {
        part.is_some_and(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()))
    };
    digits(parts.next())
        && digits(parts.next())
        && parts.next().is_some_and(|name| !name.is_empty())
}

/// The folder of a path; `.` for a bare name.
fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Makes a rename durable. Folders can be opened and flushed on Unix only.
#[cfg(unix)]
fn sync_folder(folder: &Path) -> Result<(), DataError> {
    File::open(folder)
        .and_then(|handle| handle.sync_all())
        .map_err(DataError::io("flush the folder", folder))
}

#[cfg(not(unix))]
fn sync_folder(_folder: &Path) -> Result<(), DataError> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn write_replaces_and_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b.bin");
        write_file_atomic(&path, b"one").unwrap();
        write_file_atomic(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(names(&folder.path().join("a")), ["b.bin"]);
    }

    #[cfg(unix)]
    #[test]
    fn a_private_file_is_its_owners_also_in_the_place_of_a_public_one() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        fs::write(&path, b"old").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        write_private_file_atomic(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
    }

    #[test]
    fn dropped_file_is_removed_and_target_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("b.bin");
        write_file_atomic(&path, b"old").unwrap();
        let mut file = AtomicFile::create(&path).unwrap();
        file.write_all(b"half").unwrap();
        assert_eq!(names(folder.path()).len(), 2);
        drop(file);
        assert_eq!(names(folder.path()), ["b.bin"]);
        assert_eq!(fs::read(&path).unwrap(), b"old");
    }

    #[test]
    fn failed_rename_removes_the_temporary() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("taken");
        fs::create_dir_all(path.join("inside")).unwrap();
        let error = write_file_atomic(&path, b"x").unwrap_err();
        assert!(error.to_string().contains("taken"), "{error}");
        assert_eq!(names(folder.path()), ["taken"]);
    }

    #[test]
    fn copy_is_identical_and_refuses_folders() {
        let folder = tempfile::tempdir().unwrap();
        let from = folder.path().join("from");
        fs::write(&from, [0, 255, 10, 13]).unwrap();
        let to = folder.path().join("deep/to");
        copy_file_atomic(&from, &to).unwrap();
        assert_eq!(fs::read(&to).unwrap(), [0, 255, 10, 13]);
        assert!(copy_file_atomic(folder.path(), &to).is_err());
        assert_eq!(fs::read(&to).unwrap(), [0, 255, 10, 13]);
    }

    #[test]
    fn only_our_temporaries_are_stale() {
        let folder = tempfile::tempdir().unwrap();
        for name in [
            ".a.nii.gz.12.0.tmp",
            ".keep.tmp",
            "b.12.0.tmp",
            ".c.x.1.tmp",
        ] {
            fs::write(folder.path().join(name), b"").unwrap();
        }
        assert_eq!(remove_stale_temporaries(folder.path()).unwrap(), 1);
        assert_eq!(
            names(folder.path()),
            [".c.x.1.tmp", ".keep.tmp", "b.12.0.tmp"]
        );
    }
}
