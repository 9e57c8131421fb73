//! From a [`StoredVolume`] to files.

use std::io::{self, BufWriter, Write};
use std::path::Path;

use flate2::{Compression, GzBuilder};

use super::paths::{Role, ends_with_ignore_case, file_name, role, sibling_target};
use super::stored::{FileLayout, StoredVolume};
use crate::error::DataError;
use crate::fsx::AtomicFile;

/// zlib's default: higher levels gain about 1 % on noisy volumes and take several times as long.
const LEVEL: u32 = 6;

pub(super) fn write(volume: &StoredVolume, path: &Path) -> Result<(), DataError> {
    match &volume.layout {
        FileLayout::Single => {
            if role(path) == Role::Image {
                return Err(target_name(path, "one file", ".nii or .nii.gz"));
            }
            let parts = [
                volume.header_bytes.as_slice(),
                &volume.voxels,
                &volume.trailing,
            ];
            write_part(path, &parts)?.commit()
        }
        FileLayout::Pair { header, image } => {
            let (header, image) = match role(path) {
                Role::Header => (path.to_path_buf(), sibling_target(path, image)),
                Role::Image => (sibling_target(path, header), path.to_path_buf()),
                Role::Single => return Err(target_name(path, "a pair", ".hdr or .img")),
            };
            let parts = [
                volume.image_prefix.as_slice(),
                &volume.voxels,
                &volume.trailing,
            ];
            let image_file = write_part(&image, &parts)?;
            let header_file = write_part(&header, &[&volume.header_bytes])?;
            // The header comes last: a reader that sees a new header sees new voxels.
            image_file.commit()?;
            header_file.commit()
        }
    }
}

fn target_name(path: &Path, stored: &'static str, expected: &'static str) -> DataError {
    DataError::TargetName {
        path: path.to_path_buf(),
        stored,
        expected,
    }
}

/// Writes one file under its temporary name, flushed to the disk.
pub(super) fn write_part(path: &Path, parts: &[&[u8]]) -> Result<AtomicFile, DataError> {
    let file = AtomicFile::create(path)?;
    let mut file = if ends_with_ignore_case(&file_name(path), ".gz") {
        compress(file, parts)
    } else {
        copy(file, parts)
    }
    .map_err(DataError::io("write the file", path))?;
    file.sync()?;
    Ok(file)
}

fn copy(file: AtomicFile, parts: &[&[u8]]) -> io::Result<AtomicFile> {
    let mut writer = BufWriter::new(file);
    for part in parts {
        writer.write_all(part)?;
    }
    writer.into_inner().map_err(io::IntoInnerError::into_error)
}

/// Neither a time nor a file name goes into the gzip header: the same content gives the same bytes.
fn compress(file: AtomicFile, parts: &[&[u8]]) -> io::Result<AtomicFile> {
    let mut writer = GzBuilder::new()
        .mtime(0)
        .write(BufWriter::new(file), Compression::new(LEVEL));
    for part in parts {
        writer.write_all(part)?;
    }
    writer
        .finish()?
        .into_inner()
        .map_err(io::IntoInnerError::into_error)
}
