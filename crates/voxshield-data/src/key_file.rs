//! Files with keys, private or public.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;

use age::secrecy::zeroize::Zeroizing;

use crate::error::DataError;
use crate::fsx::{AtomicFile, private_file};
use crate::unlock::UnlockError;

/// How a private age key begins, in upper case.
pub(crate) const SECRET: &str = "AGE-SECRET-KEY-";

/// Whether a text is a private age key, as far as its beginning says.
pub(crate) fn is_secret(text: &str) -> bool {
    let start = text.trim_start().get(..SECRET.len());
    start.is_some_and(|start| start.eq_ignore_ascii_case(SECRET))
}

/// The content of a key file that the user named. It is wiped when dropped, and never moved while it is read, which would leave copies.
///
/// The file may be a pipe, as `<(command)` of a shell is.
///
/// # Errors
/// [`DataError::Io`], [`DataError::TooLarge`] above `limit` bytes, [`UnlockError::KeyAsPath`] for a key in place of a file.
pub(crate) fn read_key_file(path: &Path, limit: u64) -> Result<Zeroizing<Vec<u8>>, DataError> {
    refuse_key(path)?;
    let file = File::open(path).map_err(DataError::io("open the key file", path))?;
    // `read_to_end` asks for more room when there are less than 32 bytes of it.
    let room = usize::try_from(limit)
        .unwrap_or(usize::MAX)
        .saturating_add(64);
    let mut bytes = Zeroizing::new(Vec::with_capacity(room));
    file.take(limit + 1)
        .read_to_end(&mut bytes)
        .map_err(DataError::io("read the key file", path))?;
    match bytes.len() as u64 > limit {
        true => Err(DataError::TooLarge {
            path: path.to_path_buf(),
            what: "a key file",
            found: bytes.len() as u64,
            limit,
        }),
        false => Ok(bytes),
    }
}

/// Writes a new file that only its owner can read; on Windows, whoever may read its folder can.
pub(crate) fn write_secret(path: &Path, parts: &[&str]) -> Result<(), DataError> {
    write_new(path, private_file(), parts)
}

/// Writes a new file that everybody may read.
pub(crate) fn write_public(path: &Path, text: &str) -> Result<(), DataError> {
    write_new(path, OpenOptions::new(), &[text])
}

/// Never in the place of another file, and never half of one: it gets its name when it is on the disk.
fn write_new(path: &Path, options: OpenOptions, parts: &[&str]) -> Result<(), DataError> {
    refuse_key(path)?;
    refuse_existing(path)?;
    let mut file = AtomicFile::create_with(path, options)?;
    parts
        .iter()
        .try_for_each(|part| file.write_all(part.as_bytes()))
        .map_err(DataError::io("write the key file", path))?;
    file.commit_new()
}

/// An error if there is a file of this name; a link that leads nowhere counts.
pub(crate) fn refuse_existing(path: &Path) -> Result<(), DataError> {
    match path.symlink_metadata() {
        Ok(_) => {
            let error = io::Error::from(io::ErrorKind::AlreadyExists);
            Err(DataError::io("create the key file", path)(error))
        }
        Err(_) => Ok(()),
    }
}

/// A key that was given where the name of its file belongs must not be repeated by the message that there is no such file.
fn refuse_key(path: &Path) -> Result<(), DataError> {
    match is_secret(&path.to_string_lossy()) {
        true => Err(DataError::Unlock {
            path: format!("{SECRET}...").into(),
            problem: UnlockError::KeyAsPath,
        }),
        false => Ok(()),
    }
}
