//! Hashes of a file that is too large to be held.

use std::path::Path;

use sha2::{Digest as _, Sha256};

use super::read::VolumeReader;
use super::stored::{FileLayout, StoredVolume};
use crate::error::DataError;
use crate::hash::{hex, sha256_parts};

/// Bytes that are read at a time.
const PART: usize = 1 << 20;

/// SHA-256 of the parts of a NIfTI file, uncompressed.
pub(crate) struct Digest {
    /// All but the voxels.
    pub(crate) frame: StoredVolume,
    pub(crate) voxel_bytes: u64,
    pub(crate) voxels: String,
    /// As [`StoredVolume::content_sha256`].
    pub(crate) content: Vec<String>,
}

impl Digest {
    /// Reads the file as a stream.
    ///
    /// # Errors
    /// As [`StoredVolume::read`].
    pub(crate) fn of(path: &Path) -> Result<Self, DataError> {
        let mut reader = VolumeReader::open(path)?;
        let voxel_bytes = reader.left();
        let frame = reader.frame();
        let pair = frame.layout != FileLayout::Single;
        let before = if pair {
            &frame.image_prefix
        } else {
            &frame.header_bytes
        };
        let (mut voxels, mut content) = (Sha256::new(), Sha256::new_with_prefix(before));
        let mut part = Vec::new();
        while reader.left() > 0 {
            reader.next(&mut part, PART)?;
            voxels.update(&part);
            content.update(&part);
        }
        let frame = reader.finish()?;
        content.update(&frame.trailing);
        let header = pair.then(|| sha256_parts(&[&frame.header_bytes]));
        let content = hex(&content.finalize());
        Ok(Self {
            voxel_bytes,
            voxels: hex(&voxels.finalize()),
            content: header.into_iter().chain([content]).collect(),
            frame,
        })
    }
}
