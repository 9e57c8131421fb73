//! From files to a [`StoredVolume`].

use std::path::{Path, PathBuf};

use super::error::HeaderError;
use super::gzip::Source;
use super::header::Header;
use super::paths::{Role, role, sibling};
use super::stored::{FileLayout, StoredVolume};
use crate::error::DataError;

/// The most voxel bytes accepted: 64 GiB, far above any clinical volume.
const VOXEL_LIMIT: u64 = 1 << 36;
/// The most bytes of header and extensions accepted.
const HEADER_LIMIT: u64 = 1 << 30;
/// The most bytes accepted after the voxels.
const TRAILING_LIMIT: u64 = 1 << 20;

pub(super) fn read(path: &Path) -> Result<StoredVolume, DataError> {
    let header_path = match role(path) {
        Role::Image => sibling(path, &[".hdr", ".hdr.gz"])?,
        Role::Single | Role::Header => path.to_path_buf(),
    };
    let mut source = Source::open(&header_path)?;
    let mut header_bytes = Vec::new();
    source.append("header", &mut header_bytes, 4)?;
    let first = header_bytes.first_chunk::<4>().copied().unwrap_or_default();
    let (version, endian) = Header::sniff(first).map_err(in_header(&header_path))?;
    source.append(
        "header",
        &mut header_bytes,
        version.header_size() as u64 - 4,
    )?;
    let header = Header::parse(&header_bytes, version, endian).map_err(in_header(&header_path))?;
    let voxel_bytes = header
        .voxel_bytes()
        .filter(|&bytes| bytes <= VOXEL_LIMIT && usize::try_from(bytes).is_ok())
        .ok_or_else(|| {
            too_large(
                &header_path,
                "voxel data",
                header.voxel_bytes(),
                VOXEL_LIMIT,
            )
        })?;
    if header.vox_offset > HEADER_LIMIT {
        let found = Some(header.vox_offset);
        return Err(too_large(&header_path, "header", found, HEADER_LIMIT));
    }
    let mut volume = StoredVolume {
        path: path.to_path_buf(),
        layout: FileLayout::Single,
        header_bytes,
        image_prefix: Vec::new(),
        voxels: Vec::new(),
        trailing: Vec::new(),
        header,
    };
    if volume.header.single_file {
        source.check_declared(volume.header.vox_offset + voxel_bytes)?;
        let more = volume.header.vox_offset.saturating_sub(source.consumed());
        source.append("header extensions", &mut volume.header_bytes, more)?;
        source.append("voxels", &mut volume.voxels, voxel_bytes)?;
        volume.trailing = source.rest("data after the voxels", TRAILING_LIMIT)?;
        return Ok(volume);
    }
    volume
        .header_bytes
        .extend(source.rest("header", HEADER_LIMIT)?);
    let image_path = image_of(path, &header_path)?;
    let mut image = Source::open(&image_path)?;
    image.check_declared(volume.header.vox_offset + voxel_bytes)?;
    image.append(
        "data before the voxels",
        &mut volume.image_prefix,
        volume.header.vox_offset,
    )?;
    image.append("voxels", &mut volume.voxels, voxel_bytes)?;
    volume.trailing = image.rest("data after the voxels", TRAILING_LIMIT)?;
    volume.layout = FileLayout::Pair {
        header: header_path,
        image: image_path,
    };
    Ok(volume)
}

/// The voxel file of a pair: the path itself when that is what was given.
fn image_of(path: &Path, header_path: &Path) -> Result<PathBuf, DataError> {
    match role(path) {
        Role::Image => Ok(path.to_path_buf()),
        Role::Header => sibling(header_path, &[".img", ".img.gz"]),
        // The magic of a pair in a file named `.nii`: there is no name to look for the voxels under.
        Role::Single => Err(in_header(path)(HeaderError::Magic {
            expected: "n+1 or n+2 in a .nii file",
            found: "the magic of an .hdr/.img pair".to_string(),
        })),
    }
}

fn too_large(path: &Path, what: &'static str, found: Option<u64>, limit: u64) -> DataError {
    DataError::TooLarge {
        path: path.to_path_buf(),
        what,
        found: found.unwrap_or(0),
        limit,
    }
}

fn in_header(path: &Path) -> impl FnOnce(HeaderError) -> DataError {
    let path = path.to_path_buf();
    move |problem| DataError::Header { path, problem }
}
