//! A NIfTI file in memory, as stored.

use std::path::{Path, PathBuf};

use ndarray::{ArrayView4, ArrayViewMut4, ShapeBuilder, ShapeError};

use super::datatype::{Datatype, Number, Value};
use super::header::Header;
use super::read::VolumeReader;
use super::scaling::Scaling;
use crate::error::DataError;
use crate::geometry::Affine;
use crate::hash::sha256_parts;

/// A NIfTI file: its header, the exact bytes before and after the voxels, and the voxels as stored.
///
/// Voxels are in file order, i fastest, then j, k and channel.
#[derive(Clone, Debug)]
pub struct StoredVolume {
    pub(super) path: PathBuf,
    pub(super) header: Header,
    pub(super) layout: FileLayout,
    /// Everything before the voxels in a single file; the whole header file of a pair.
    pub(super) header_bytes: Vec<u8>,
    /// Bytes between the start of the `.img` of a pair and the voxels.
    pub(super) image_prefix: Vec<u8>,
    pub(super) voxels: Vec<u8>,
    /// Bytes after the voxels.
    pub(super) trailing: Vec<u8>,
}

/// How the parts lie in files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum FileLayout {
    Single,
    Pair { header: PathBuf, image: PathBuf },
}

impl StoredVolume {
    /// Reads a volume: `.nii`, `.nii.gz`, or either half of an `.hdr`/`.img` pair. Compression is recognised by content, not
    /// by name. Files with fewer than three dimensions and with complex or RGB voxels are read too; [`crate::Volume::open`]
    /// is what refuses them.
    ///
    /// # Errors
    /// A [`DataError`] for a file that cannot be read, is damaged or truncated, is not NIfTI, or declares sizes that its
    /// length cannot back.
    pub fn read(path: &Path) -> Result<Self, DataError> {
        super::read::read(VolumeReader::open(path)?)
    }

    /// As [`StoredVolume::read`], for the content of a single file that is in memory; `path` is its name.
    ///
    /// # Errors
    /// As [`StoredVolume::read`]; [`DataError::Io`] for half of a pair.
    pub fn from_bytes(path: &Path, bytes: &[u8]) -> Result<Self, DataError> {
        super::read::read(VolumeReader::in_memory(path, bytes)?)
    }

    /// Writes the volume under another name: the original header bytes and extensions, these voxels. Compressed when the name
    /// ends in `.gz` (the same bytes for the same content). A pair writes both files, the voxel file under the same stem.
    /// Every file goes to a temporary name first, is flushed, and is renamed.
    ///
    /// # Errors
    /// [`DataError::TargetName`] when the name does not suit a single file or a pair; [`DataError::Io`] when writing
    /// fails, for example on a full disk: temporary files are removed then.
    pub fn write_atomic(&self, path: &Path) -> Result<(), DataError> {
        super::write::write(self, path)
    }

    /// The file that was read.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The header's fields.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Voxel datatype.
    #[must_use]
    pub fn datatype(&self) -> Datatype {
        self.header.datatype
    }

    /// Sizes of i, j, k and channel.
    #[must_use]
    pub fn dims(&self) -> [usize; 4] {
        self.header.dims()
    }

    /// Slope and intercept in force.
    #[must_use]
    pub fn scaling(&self) -> Scaling {
        self.header.scaling()
    }

    /// From voxel index (i, j, k) to RAS+ mm, by nibabel's rule.
    #[must_use]
    pub fn affine(&self) -> Affine {
        self.header.affine()
    }

    /// All bytes before the voxels: header, extensions and padding; for a pair, the whole header file.
    #[must_use]
    pub fn header_bytes(&self) -> &[u8] {
        &self.header_bytes
    }

    /// Bytes after the voxels, usually none.
    #[must_use]
    pub fn trailing_bytes(&self) -> &[u8] {
        &self.trailing
    }

    /// The voxels as stored.
    #[must_use]
    pub fn voxel_bytes(&self) -> &[u8] {
        &self.voxels
    }

    /// SHA-256 of the file's content, uncompressed; of a pair, of the header file and of the voxel file.
    #[must_use]
    pub fn content_sha256(&self) -> Vec<String> {
        let voxels = [self.voxels.as_slice(), &self.trailing];
        match self.layout {
            FileLayout::Single => vec![sha256_parts(&[&self.header_bytes, voxels[0], voxels[1]])],
            FileLayout::Pair { .. } => vec![
                sha256_parts(&[&self.header_bytes]),
                sha256_parts(&[&self.image_prefix, voxels[0], voxels[1]]),
            ],
        }
    }

    /// As [`StoredVolume::content_sha256`], of a file that is read as a stream.
    ///
    /// # Errors
    /// As [`StoredVolume::read`].
    pub fn content_sha256_of(path: &Path) -> Result<Vec<String>, DataError> {
        Ok(super::digest::Digest::of(path)?.content)
    }

    /// A volume without its voxels: what the header of a file says.
    ///
    /// # Errors
    /// As [`StoredVolume::read`].
    pub fn frame_of(path: &Path) -> Result<Self, DataError> {
        Ok(VolumeReader::open(path)?.frame().clone())
    }

    /// Number of voxels, all channels together, that the header of a file declares.
    ///
    /// # Errors
    /// As [`StoredVolume::read`].
    pub fn voxel_count_of(path: &Path) -> Result<u64, DataError> {
        let reader = VolumeReader::open(path)?;
        Ok(reader.left() / reader.frame().datatype().size() as u64)
    }

    /// Number of voxels, all channels together.
    #[must_use]
    pub fn voxel_count(&self) -> usize {
        self.voxels.len() / self.datatype().size()
    }

    /// Whether the volume is an `.hdr`/`.img` pair.
    #[must_use]
    pub fn is_pair(&self) -> bool {
        self.layout != FileLayout::Single
    }

    /// The exact stored numbers in file order, without slope and intercept; 64-bit integers are not rounded. Empty for
    /// datatypes that are not real numbers.
    pub fn stored_values(&self) -> impl Iterator<Item = Value> + '_ {
        self.numbers_of(&self.voxels).map(Value::from)
    }

    /// The values in file order: `slope * s + inter`, in f64. Empty for datatypes that are not real numbers.
    pub fn values(&self) -> impl Iterator<Item = f64> + '_ {
        self.values_of(&self.voxels)
    }

    /// As [`StoredVolume::values`], of bytes that are voxels of this file.
    pub(crate) fn values_of<'a>(&self, bytes: &'a [u8]) -> impl Iterator<Item = f64> + use<'a> {
        let scaling = self.scaling();
        self.numbers_of(bytes)
            .map(move |number| scaling.value(number))
    }

    pub(crate) fn numbers_of<'a>(&self, bytes: &'a [u8]) -> impl Iterator<Item = Number> + use<'a> {
        let (datatype, endian) = (self.datatype(), self.header.endian);
        bytes
            .chunks_exact(datatype.size())
            .map_while(move |bytes| datatype.decode(bytes, endian))
    }

    /// The same file with other voxels: header, extensions and everything else stay.
    ///
    /// # Errors
    /// [`DataError::VoxelBytes`] unless there are exactly as many bytes as before.
    pub fn with_voxels(&self, bytes: Vec<u8>) -> Result<Self, DataError> {
        if bytes.len() != self.voxels.len() {
            return Err(DataError::VoxelBytes {
                path: self.path.clone(),
                expected: self.voxels.len() as u64,
                found: bytes.len() as u64,
            });
        }
        Ok(Self {
            path: self.path.clone(),
            header: self.header.clone(),
            layout: self.layout.clone(),
            header_bytes: self.header_bytes.clone(),
            image_prefix: self.image_prefix.clone(),
            voxels: bytes,
            trailing: self.trailing.clone(),
        })
    }

    /// The file of a frame with its voxels.
    pub(crate) fn having(self, voxels: Vec<u8>) -> Self {
        Self { voxels, ..self }
    }

    /// Whether everything before the voxels is the same, byte for byte.
    pub(crate) fn same_frame(&self, other: &Self) -> bool {
        self.header_bytes == other.header_bytes && self.image_prefix == other.image_prefix
    }

    /// A view `[i, j, k, channel]` of one element per voxel in file order.
    pub(crate) fn view<'a, T>(&self, elements: &'a [T]) -> Result<ArrayView4<'a, T>, DataError> {
        let [i, j, k, c] = self.dims();
        ArrayView4::from_shape((i, j, k, c).f(), elements).map_err(|_| DataError::VoxelBytes {
            path: self.path.clone(),
            expected: self.voxels.len() as u64,
            found: (elements.len() * self.datatype().size()) as u64,
        })
    }

    /// As [`StoredVolume::view`], of the voxels' own bytes, to be changed.
    pub(crate) fn view_mut<const N: usize>(
        &mut self,
    ) -> Result<ArrayViewMut4<'_, [u8; N]>, ShapeError> {
        let [i, j, k, c] = self.dims();
        let (words, _) = self.voxels.as_chunks_mut::<N>();
        ArrayViewMut4::from_shape((i, j, k, c).f(), words)
    }

    /// Stored index (i, j, k, channel) of a position in file order.
    pub(crate) fn index_of(&self, position: usize) -> [usize; 4] {
        let [i, j, k, _] = self.dims();
        [
            position % i,
            position / i % j,
            position / (i * j) % k,
            position / (i * j * k),
        ]
    }
}
