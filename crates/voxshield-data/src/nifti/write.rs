//! From a [`StoredVolume`] to files.

use std::io::{self, BufWriter, Write};
use std::path::Path;

use super::blocks::write_gzip;
use super::paths::{Role, ends_with_ignore_case, file_name, role, sibling_target};
use super::stored::{FileLayout, StoredVolume};
use crate::error::DataError;
use crate::fsx::AtomicFile;

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
    let gzip = ends_with_ignore_case(&file_name(path), ".gz");
    let mut writer = BufWriter::new(file);
    let mut write = || -> io::Result<()> {
        if gzip {
            return write_gzip(&mut writer, parts);
        }
        parts.iter().try_for_each(|part| writer.write_all(part))
    };
    let mut file = write()
        .and_then(|()| writer.into_inner().map_err(io::IntoInnerError::into_error))
        .map_err(DataError::io("write the file", path))?;
    file.sync()?;
    Ok(file)
}
