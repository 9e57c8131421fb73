//! From files to a [`StoredVolume`], whole or in parts.

use std::io::{self, Cursor};
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

/// A NIfTI file whose voxels are read in parts, so that a volume of any size takes little memory.
pub(crate) struct VolumeReader {
    /// All but the voxels; what follows them is there after [`VolumeReader::finish`].
    frame: StoredVolume,
    source: Source,
    left: u64,
}

impl VolumeReader {
    /// Reads everything before the voxels.
    ///
    /// # Errors
    /// As [`StoredVolume::read`].
    pub(crate) fn open(path: &Path) -> Result<Self, DataError> {
        let header_path = match role(path) {
            Role::Image => sibling(path, &[".hdr", ".hdr.gz"])?,
            Role::Single | Role::Header => path.to_path_buf(),
        };
        Self::with_header(path, header_path, Source::open)
    }

    /// As [`VolumeReader::open`], for the content of a single file that is in memory.
    ///
    /// # Errors
    /// As [`VolumeReader::open`].
    pub(crate) fn in_memory(path: &Path, bytes: &[u8]) -> Result<Self, DataError> {
        Self::with_header(path, path.to_path_buf(), |part| {
            if part == path {
                return Source::of(part, Cursor::new(bytes.to_vec()), bytes.len() as u64);
            }
            let missing = io::Error::from(io::ErrorKind::NotFound);
            Err(DataError::io("open the file", part)(missing))
        })
    }

    fn with_header(
        path: &Path,
        header_path: PathBuf,
        open: impl Fn(&Path) -> Result<Source, DataError>,
    ) -> Result<Self, DataError> {
        let mut source = open(&header_path)?;
        let mut header_bytes = Vec::new();
        source.append("header", &mut header_bytes, 4)?;
        let first = header_bytes.first_chunk::<4>().copied().unwrap_or_default();
        let (version, endian) = Header::sniff(first).map_err(in_header(&header_path))?;
        let rest = version.header_size() as u64 - 4;
        source.append("header", &mut header_bytes, rest)?;
        let header =
            Header::parse(&header_bytes, version, endian).map_err(in_header(&header_path))?;
        let declared = header.voxel_bytes();
        let left = declared
            .filter(|&bytes| bytes <= VOXEL_LIMIT && usize::try_from(bytes).is_ok())
            .ok_or_else(|| too_large(&header_path, "voxel data", declared, VOXEL_LIMIT))?;
        if header.vox_offset > HEADER_LIMIT {
            let found = Some(header.vox_offset);
            return Err(too_large(&header_path, "header", found, HEADER_LIMIT));
        }
        let mut frame = StoredVolume {
            path: path.to_path_buf(),
            layout: FileLayout::Single,
            header_bytes,
            image_prefix: Vec::new(),
            voxels: Vec::new(),
            trailing: Vec::new(),
            header,
        };
        let offset = frame.header.vox_offset;
        if frame.header.single_file {
            source.check_declared(offset + left)?;
            let more = offset.saturating_sub(source.consumed());
            source.append("header extensions", &mut frame.header_bytes, more)?;
        } else {
            frame
                .header_bytes
                .extend(source.rest("header", HEADER_LIMIT)?);
            let image_path = image_of(path, &header_path)?;
            source = open(&image_path)?;
            source.check_declared(offset + left)?;
            source.append("data before the voxels", &mut frame.image_prefix, offset)?;
            frame.layout = FileLayout::Pair {
                header: header_path,
                image: image_path,
            };
        }
        Ok(Self {
            frame,
            source,
            left,
        })
    }

    /// Header, extensions and name of the file; it has no voxels.
    pub(crate) fn frame(&self) -> &StoredVolume {
        &self.frame
    }

    /// Bytes of voxels that have not been read.
    pub(crate) fn left(&self) -> u64 {
        self.left
    }

    /// Replaces the content of `bytes` by the next `count` bytes of voxels, fewer at the end.
    ///
    /// # Errors
    /// [`DataError::Truncated`], [`DataError::Gzip`] and [`DataError::Io`].
    pub(crate) fn next(&mut self, bytes: &mut Vec<u8>, count: usize) -> Result<(), DataError> {
        bytes.clear();
        let count = self.left.min(count as u64);
        self.source.append("voxels", bytes, count)?;
        self.left -= count;
        Ok(())
    }

    /// Reads what follows the voxels, all of which must have been read. For gzip, this is also what checks the checksum.
    ///
    /// # Errors
    /// As [`VolumeReader::next`], and [`DataError::TooLarge`].
    pub(crate) fn finish(mut self) -> Result<StoredVolume, DataError> {
        self.frame.trailing = self.source.rest("data after the voxels", TRAILING_LIMIT)?;
        Ok(self.frame)
    }
}

pub(super) fn read(mut reader: VolumeReader) -> Result<StoredVolume, DataError> {
    let mut voxels = Vec::new();
    let count = usize::try_from(reader.left()).unwrap_or(usize::MAX);
    reader.next(&mut voxels, count)?;
    Ok(reader.finish()?.having(voxels))
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
