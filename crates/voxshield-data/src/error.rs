//! The crate's error type.

use std::path::{Path, PathBuf};

use crate::dicom::DicomError;
use crate::intensity::IntensityError;
use crate::layout::LayoutError;
use crate::nifti::{Datatype, HeaderError};
use crate::signature::SignatureError;
use crate::unlock::UnlockError;

/// Anything that can go wrong between a file and a checked array.
///
/// Every message says what happened, to which path, what was expected and what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    // ---- files ----
    /// The operating system refused an operation (disk full, permission, missing file, ...).
    #[error("{}: could not {action}: {source}", path.display())]
    Io {
        /// What was being done, as a verb phrase.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: std::io::Error,
    },
    /// The file ends before what its header declares.
    #[error("{}: truncated: expected {expected} bytes of {what}, found {found}; fetch the file again", path.display())]
    Truncated {
        /// The file.
        path: PathBuf,
        /// Which part is short.
        what: &'static str,
        /// Bytes that the format or the header asks for.
        expected: u64,
        /// Bytes that are there.
        found: u64,
    },
    /// The gzip stream is damaged.
    #[error("{}: damaged gzip stream ({source}); fetch the file again", path.display())]
    Gzip {
        /// The file.
        path: PathBuf,
        /// What the decoder said.
        #[source]
        source: std::io::Error,
    },
    /// The header declares more voxel data than the file can hold, even decompressed.
    #[error(
        "{}: the header declares {declared} bytes but the file cannot hold more than {possible}; the header or the file is damaged", path.display()
    )]
    ImpossibleSize {
        /// The file.
        path: PathBuf,
        /// Bytes that the header declares.
        declared: u64,
        /// The most that the file's length can back.
        possible: u64,
    },
    /// More data than this program accepts in one file.
    #[error("{}: {what} of {found} bytes is over the limit of {limit}; split or shorten the file", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Which part.
        what: &'static str,
        /// Its size in bytes (0 where it does not fit 64 bits).
        found: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// There is not enough memory for the voxels.
    #[error("{}: not enough memory for {bytes} more bytes; close other programs or use a larger machine", path.display())]
    OutOfMemory {
        /// The file.
        path: PathBuf,
        /// Bytes asked for.
        bytes: u64,
    },

    // ---- NIfTI ----
    /// The header is not one of NIfTI-1 or NIfTI-2, or contradicts itself.
    #[error("{}: {problem}", path.display())]
    Header {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: HeaderError,
    },
    /// A datatype that is legal in NIfTI but cannot be protected.
    #[error(
        "{}: voxels of type {datatype} are not supported: expected an integer or float32/float64; convert the file", path.display()
    )]
    UnsupportedDatatype {
        /// The file.
        path: PathBuf,
        /// Its datatype.
        datatype: Datatype,
    },
    /// One half of an `.hdr`/`.img` pair is missing.
    #[error("{}: the other half of the pair is missing: expected {}", path.display(), missing.display())]
    MissingPair {
        /// The half that is there.
        path: PathBuf,
        /// The half that is not.
        missing: PathBuf,
    },
    /// The affine has no inverse, or is not finite.
    #[error("{}: the affine is singular or not finite: no orientation; repair qform/sform", path.display())]
    DegenerateAffine {
        /// The file.
        path: PathBuf,
    },
    /// New voxels do not fit the header.
    #[error("{}: expected {expected} bytes of voxels, got {found}", path.display())]
    VoxelBytes {
        /// The file.
        path: PathBuf,
        /// Bytes of voxels that the header declares.
        expected: u64,
        /// Bytes given.
        found: u64,
    },
    /// The target name does not suit the way the volume is stored.
    #[error("{}: cannot write a volume stored as {stored} under this name; use {expected}", path.display())]
    TargetName {
        /// The target.
        path: PathBuf,
        /// How the volume is stored.
        stored: &'static str,
        /// Allowed endings.
        expected: &'static str,
    },

    // ---- volumes ----
    /// An empty list of image files.
    #[error("no image file was given: a case needs at least one")]
    NoFiles,
    /// The file is an image, not a volume.
    #[error("{}: two-dimensional image of {dims:?} voxels: a volume with more than one slice is needed", path.display())]
    TwoDimensional {
        /// The file.
        path: PathBuf,
        /// Its dimensions (i, j, k, channel).
        dims: [usize; 4],
    },
    /// Voxels that are NaN, infinite or beyond the range of f32 after scaling.
    #[error("{}: {count} voxels are not finite, the first at {first:?} (i, j, k, channel); repair the file", path.display())]
    NonFinite {
        /// The file.
        path: PathBuf,
        /// How many.
        count: u64,
        /// Stored index (i, j, k, channel) of the first.
        first: [usize; 4],
    },
    /// Something as large as a plane of voxels behind the voxels; it would be published as it is.
    #[error("{}: {found} bytes follow the voxels, and a plane has {plane}: they may be further voxels, which would be published unprotected; correct the number of slices in the header, or remove them", path.display())]
    TrailingVoxels {
        /// The file.
        path: PathBuf,
        /// Bytes after the voxels.
        found: usize,
        /// Bytes of one plane.
        plane: usize,
    },
    /// Two files that must share one grid do not: channels of a case, or an image and its label.
    #[error("{}: {what} differs from that of {}: {found} instead of {expected}; they must share one grid", path.display(), reference.display())]
    GridMismatch {
        /// The file that differs.
        path: PathBuf,
        /// The first channel, or the image.
        reference: PathBuf,
        /// What differs.
        what: &'static str,
        /// The reference's value.
        expected: String,
        /// This file's value.
        found: String,
    },
    /// An array argument has the wrong shape.
    #[error("{what}: expected shape {expected:?}, got {found:?}")]
    Shape {
        /// Which argument.
        what: &'static str,
        /// The shape needed.
        expected: Vec<usize>,
        /// The shape given.
        found: Vec<usize>,
    },
    /// A channel index or count that the volume does not have.
    #[error("{what}: expected {expected}, got {found}")]
    ChannelCount {
        /// What was counted.
        what: &'static str,
        /// The volume's channels.
        expected: usize,
        /// What was given.
        found: usize,
    },
    /// An intensity range without width.
    #[error("intensity range ({lo}, {hi}): both ends must be finite and hi greater than lo")]
    InvalidRange {
        /// Lower end.
        lo: f64,
        /// Upper end.
        hi: f64,
    },
    /// A budget that is no budget.
    #[error("epsilon {epsilon}: must be greater than 0 and at most 1")]
    InvalidEpsilon {
        /// The value given.
        epsilon: f64,
    },
    /// The perturbation itself has a NaN or infinity.
    #[error(
        "delta is {value} at canonical index {index:?} (channel, depth, height, width): the optimisation diverged"
    )]
    NonFiniteDelta {
        /// Canonical index.
        index: [usize; 4],
        /// The value there.
        value: f32,
    },
    /// The budget is less than one stored step, so protecting would change nothing.
    #[error(
        "{}: channel {channel}: epsilon {epsilon} is less than one stored step (1 in a float file of whole numbers, where rounding would undo less); use an epsilon of at least {}, or store the volume with a finer datatype", path.display(), crate::budget::display_up(*smallest)
    )]
    EpsilonBelowOneStep {
        /// The file.
        path: PathBuf,
        /// The channel.
        channel: usize,
        /// The epsilon asked for.
        epsilon: f64,
        /// The smallest epsilon that allows one step.
        smallest: f64,
    },
    /// Two volumes that cannot be compared voxel by voxel.
    #[error("{} and {}: cannot be compared: {what} differs ({clean_value} and {protected_value})", clean.display(), protected.display())]
    Incomparable {
        /// The clean file.
        clean: PathBuf,
        /// The protected file.
        protected: PathBuf,
        /// What differs.
        what: &'static str,
        /// Its value in the clean file.
        clean_value: String,
        /// Its value in the protected file.
        protected_value: String,
    },

    // ---- parts with errors of their own ----
    /// A folder that is no dataset, or files that make no case.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// Voxels that give no intensity range.
    #[error(transparent)]
    Intensity(#[from] IntensityError),
    /// A residual, its keys, or what it belongs to.
    #[error("{}: {problem}", path.display())]
    Unlock {
        /// The encrypted file, the key file, or the protected file.
        path: PathBuf,
        /// What is wrong with it.
        problem: UnlockError,
    },
    /// A DICOM file or series that gives no volume.
    #[error("{}: {problem}", path.display())]
    Dicom {
        /// The file, or the folder of the series.
        path: PathBuf,
        /// What is wrong with it.
        problem: DicomError,
    },
    /// A signature, or a key to make or check one.
    #[error("{}: {problem}", path.display())]
    Signature {
        /// The signature or the key file.
        path: PathBuf,
        /// What is wrong with it.
        problem: SignatureError,
    },

    /// A perturbation artefact of the reference implementation that cannot be used.
    #[error("{}: {reason}; export the artefact again with the reference implementation", path.display())]
    Artefact {
        /// The manifest or file.
        path: PathBuf,
        /// What was expected, and what was found.
        reason: String,
    },
    /// Something that cannot be resampled, or resampled to.
    #[error("resampling: {what}: expected {expected}, found {found}")]
    Resample {
        /// Which argument.
        what: &'static str,
        /// What it has to be.
        expected: String,
        /// What it is.
        found: String,
    },

    // ---- labels ----
    /// A label voxel that is not a whole number from 0 to 65535.
    #[error("{}: label value {value} at {index:?} (i, j, k): expected a whole number from 0 to 65535", path.display())]
    LabelValue {
        /// The file.
        path: PathBuf,
        /// The value after scaling.
        value: f64,
        /// Stored index (i, j, k).
        index: [usize; 3],
    },
    /// A label map with several channels.
    #[error("{}: label map with {channels} channels: expected one", path.display())]
    LabelChannels {
        /// The file.
        path: PathBuf,
        /// Its channels.
        channels: usize,
    },
    // ---- paths and JSON ----
    /// A JSON file that cannot be used.
    #[error("{}: {reason}; repair the file", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A path inside a dataset or manifest that would leave its folder, or be another one on another system.
    #[error(
        "{}: the entry {entry:?} must be a relative path, not empty and without `..`, `\\`, `:` or NUL; rename the file, or correct the entry", path.display()
    )]
    UnsafePath {
        /// The file that has the entry.
        path: PathBuf,
        /// The entry.
        entry: String,
    },
    /// A symbolic link that leaves the dataset, dangles, names a folder, or is in the place of a series.
    #[error("{}: symbolic link {reason}; replace it by the file or folder itself", path.display())]
    SymbolicLink {
        /// The link.
        path: PathBuf,
        /// What is wrong with it.
        reason: &'static str,
    },
}

impl DataError {
    /// Shorthand for an [`DataError::Io`], to be used in `map_err`.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io {
            action,
            path,
            source,
        }
    }
}
