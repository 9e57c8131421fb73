//! What can be wrong with a header.

use super::datatype::Datatype;

/// Why a NIfTI header cannot be used; [`crate::DataError::Header`] adds the path.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum HeaderError {
    /// The first four bytes are not a NIfTI header size.
    #[error(
        "not a NIfTI file: the header size must be 348 or 540, found {found}; convert the file to NIfTI"
    )]
    Size {
        /// The first four bytes as a little-endian integer.
        found: i32,
    },
    /// The magic bytes are wrong (ANALYZE 7.5 files have none).
    #[error("not a NIfTI file: magic must be {expected}, found {found}; convert the file to NIfTI")]
    Magic {
        /// The allowed magic strings.
        expected: &'static str,
        /// The bytes found, escaped.
        found: String,
    },
    /// The dimensions make no sense.
    #[error("bad dimensions {dim:?}: {reason}; repair the header")]
    Dimensions {
        /// The header's `dim` field.
        dim: [i64; 8],
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The datatype code is not one of the standard's.
    #[error("unknown NIfTI datatype code {code}; convert the file to int16 or float32")]
    UnknownDatatype {
        /// The code.
        code: i32,
    },
    /// `bitpix` contradicts `datatype`.
    #[error("bitpix is {found} but {datatype} has {expected} bits; repair the header")]
    Bitpix {
        /// The datatype.
        datatype: Datatype,
        /// Its bits per voxel.
        expected: i32,
        /// The header's `bitpix`.
        found: i32,
    },
    /// The voxels cannot start where the header says.
    #[error(
        "bad vox_offset {found}: expected a whole number of at least {least}; repair the header"
    )]
    VoxelOffset {
        /// The header's value.
        found: f64,
        /// The smallest legal value.
        least: u64,
    },
    /// A valid slope with an intercept that is not finite.
    #[error("scl_slope is {slope} but scl_inter is {inter}; repair the header")]
    Intercept {
        /// The slope.
        slope: f64,
        /// The intercept.
        inter: f64,
    },
}
