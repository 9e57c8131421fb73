//! SHA-256 of files and bytes.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::{error::DataError, nifti::file_parts};

/// SHA-256 of a file, in lower-case hexadecimal; read in blocks, so of any size.
///
/// # Errors
/// [`DataError::Io`] when the file cannot be read.
pub fn sha256_file(path: &Path) -> Result<String, DataError> {
    let mut hasher = Sha256::new();
    update(&mut hasher, path)?;
    Ok(hex(&hasher.finalize()))
}

/// SHA-256 of the volume at `path`: as [`sha256_file`]; of a pair that of the two files' hashes in hexadecimal, header first, a line each:
/// `{ sha256sum < x.hdr; sha256sum < x.img; } | cut -c1-64 | sha256sum`. Equal headers say nothing about the voxels, and of both files in one
/// stream nobody could say where one ends.
///
/// # Errors
/// [`DataError::Io`] when a file cannot be read, [`DataError::MissingPair`] when one half of a pair is not there.
pub fn sha256_volume(path: &Path) -> Result<String, DataError> {
    let parts = file_parts(path)?;
    if let [single] = parts.as_slice() {
        return sha256_file(single);
    }
    let mut lines = String::new();
    for part in &parts {
        lines.push_str(&sha256_file(part)?);
        lines.push('\n');
    }
    Ok(sha256_bytes(lines.as_bytes()))
}

fn update(hasher: &mut Sha256, path: &Path) -> Result<(), DataError> {
    let mut file = File::open(path).map_err(DataError::io("open the file", path))?;
    let mut block = vec![0; 1 << 20];
    loop {
        let read = match file.read(&mut block) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(DataError::io("read the file", path)(error)),
        };
        hasher.update(block.get(..read).unwrap_or_default());
    }
    Ok(())
}

/// SHA-256 of bytes in memory, in lower-case hexadecimal.
#[must_use]
pub fn sha256_bytes(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// As [`sha256_bytes`], of several parts one after the other.
pub(crate) fn sha256_parts(parts: &[&[u8]]) -> String {
    let hasher = parts.iter().fold(Sha256::new(), Sha256::chain_update);
    hex(&hasher.finalize())
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_digests() {
        assert_eq!(
            sha256_bytes(b""),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
        assert_eq!(
            sha256_bytes(b"abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[test]
    fn file_and_bytes_agree_over_block_borders() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        let bytes: Vec<u8> = (0..(1 << 20) + 17).map(|i| (i % 251) as u8).collect();
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(sha256_file(&path).unwrap(), sha256_bytes(&bytes));
    }

    #[test]
    fn a_pair_is_its_header_and_its_voxels() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("a.hdr"), b"header").unwrap();
        assert!(sha256_volume(&path("a.hdr")).is_err());
        std::fs::write(path("a.img"), b"voxels").unwrap();
        std::fs::write(path("a.nii"), b"voxels").unwrap();
        let of = |name| sha256_volume(&path(name)).unwrap();
        // { printf header | sha256sum; printf voxels | sha256sum; } | cut -c1-64 | sha256sum
        assert_eq!(
            of("a.hdr"),
            "857052f6bf7b2b16e9b94f1f7a82d5ba3bf45f042fbb0489e16ece3d34b45b57"
        );
        assert_eq!(of("a.nii"), sha256_bytes(b"voxels"));
        // The same bytes with the border elsewhere are another pair.
        std::fs::write(path("b.hdr"), b"headervox").unwrap();
        std::fs::write(path("b.img"), b"els").unwrap();
        assert_ne!(of("a.hdr"), of("b.hdr"));
    }

    #[test]
    fn missing_file_names_the_path() {
        let error = sha256_file(Path::new("no/such/file")).unwrap_err();
        assert!(matches!(error, DataError::Io { .. }));
        assert!(error.to_string().contains("no/such/file"), "{error}");
    }
}
