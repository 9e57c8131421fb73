//! The header's fields, one struct for both versions.

use super::datatype::Datatype;
use super::endian::{Endian, Fields};
use super::error::HeaderError;
use super::qform::qform_affine;
use super::scaling::Scaling;
use crate::geometry::Affine;

/// Version of the NIfTI standard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Version {
    /// 348-byte header, 16-bit dimensions.
    Nifti1,
    /// 540-byte header, 64-bit dimensions.
    Nifti2,
}

impl Version {
    /// Bytes of the fixed header.
    #[must_use]
    pub fn header_size(self) -> usize {
        match self {
            Self::Nifti1 => 348,
            Self::Nifti2 => 540,
        }
    }
}

/// What the fixed part of a header says, checked for consistency. Field names are the standard's.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Header {
    /// Version of the standard.
    pub version: Version,
    /// Byte order of header and voxels.
    pub endian: Endian,
    /// Whether voxels follow in the same file (magic `n+1` / `n+2`) rather than in an `.img` (`ni1` / `ni2`).
    pub single_file: bool,
    /// Number of dimensions, then the size of each.
    pub dim: [i64; 8],
    /// Voxel datatype.
    pub datatype: Datatype,
    /// qfac, then the grid spacing of each dimension (mm for the first three, as is usual), as stored.
    pub pixdim: [f64; 8],
    /// Where the voxels start, bytes from the start of the file that has them.
    pub vox_offset: u64,
    /// Slope as stored.
    pub scl_slope: f64,
    /// Intercept as stored.
    pub scl_inter: f64,
    /// What the quaternion transform is, 0 for absent.
    pub qform_code: i32,
    /// What the affine transform is, 0 for absent.
    pub sform_code: i32,
    /// Quaternion b, c, d.
    pub quatern: [f64; 3],
    /// Quaternion transform's offset in mm.
    pub qoffset: [f64; 3],
    /// First three rows of the affine transform.
    pub srow: [[f64; 4]; 3],
}

/// Where each version keeps the fields that are read.
struct Places {
    vox_offset: usize,
    pixdim: usize,
    slope: usize,
    inter: usize,
    qform: usize,
    sform: usize,
    quatern: usize,
    qoffset: usize,
    srow: usize,
}

impl Header {
    /// Reads version and byte order from the first four bytes of a file.
    pub(crate) fn sniff(first: [u8; 4]) -> Result<(Version, Endian), HeaderError> {
        match (i32::from_le_bytes(first), i32::from_be_bytes(first)) {
            (348, _) => Ok((Version::Nifti1, Endian::Little)),
            (_, 348) => Ok((Version::Nifti1, Endian::Big)),
            (540, _) => Ok((Version::Nifti2, Endian::Little)),
            (_, 540) => Ok((Version::Nifti2, Endian::Big)),
            (found, _) => Err(HeaderError::Size { found }),
        }
    }

    /// Reads and checks a fixed header of `version.header_size()` bytes.
    pub(crate) fn parse(
        bytes: &[u8],
        version: Version,
        endian: Endian,
    ) -> Result<Self, HeaderError> {
        let fields = Fields { bytes, endian };
        let single_file = match version {
            Version::Nifti1 => magic(&fields.raw::<4>(344), b"n+1\0", b"ni1\0")?,
            Version::Nifti2 => magic(&fields.raw::<8>(4), b"n+2\0\r\n\x1a\n", b"ni2\0\r\n\x1a\n")?,
        };
        let (code, bitpix) = match version {
            Version::Nifti1 => (fields.i16(70), fields.i16(72)),
            Version::Nifti2 => (fields.i16(12), fields.i16(14)),
        };
        let (code, bitpix) = (i32::from(code), i32::from(bitpix));
        let datatype = Datatype::from_code(code).ok_or(HeaderError::UnknownDatatype { code })?;
        let bits = i32::try_from(datatype.size() * 8).unwrap_or(i32::MAX);
        if bitpix != bits {
            return Err(HeaderError::Bitpix {
                datatype,
                expected: bits,
                found: bitpix,
            });
        }
        let dim = std::array::from_fn(|axis| match version {
            Version::Nifti1 => i64::from(fields.i16(40 + 2 * axis)),
            Version::Nifti2 => fields.i64(16 + 8 * axis),
        });
        let at = places(version);
        let real = |at: usize, index: usize| match version {
            Version::Nifti1 => fields.f32(at + 4 * index),
            Version::Nifti2 => fields.f64(at + 8 * index),
        };
        let code = |at: usize| match version {
            Version::Nifti1 => i32::from(fields.i16(at)),
            Version::Nifti2 => fields.i32(at),
        };
        let header = Self {
            version,
            endian,
            single_file,
            dim,
            datatype,
            pixdim: std::array::from_fn(|index| real(at.pixdim, index)),
            vox_offset: match version {
                Version::Nifti1 => vox_offset_f32(fields.f32(at.vox_offset))?,
                Version::Nifti2 => u64::try_from(fields.i64(at.vox_offset))
                    .map_err(|_| bad_offset(fields.i64(at.vox_offset) as f64, 0))?,
            },
            scl_slope: real(at.slope, 0),
            scl_inter: real(at.inter, 0),
            qform_code: code(at.qform),
            sform_code: code(at.sform),
            quatern: std::array::from_fn(|index| real(at.quatern, index)),
            qoffset: std::array::from_fn(|index| real(at.qoffset, index)),
            srow: std::array::from_fn(|row| {
                std::array::from_fn(|column| real(at.srow, 4 * row + column))
            }),
        };
        header.check()?;
        Ok(header)
    }

    /// Sizes of i, j, k and channel; missing dimensions are 1.
    #[must_use]
    pub fn dims(&self) -> [usize; 4] {
        let count = self.dim[0];
        let mut sizes = [1; 4];
        for (axis, size) in sizes.iter_mut().enumerate() {
            if (axis as i64) < count {
                // `check` has refused sizes that do not fit.
                *size = self
                    .dim
                    .get(axis + 1)
                    .and_then(|&size| usize::try_from(size).ok())
                    .unwrap_or(1);
            }
        }
        sizes
    }

    /// Bytes of all voxels; `None` where that does not fit 64 bits.
    pub(crate) fn voxel_bytes(&self) -> Option<u64> {
        let size = u64::try_from(self.datatype.size()).ok()?;
        self.dims().iter().try_fold(size, |bytes, &size| {
            bytes.checked_mul(u64::try_from(size).ok()?)
        })
    }

    /// Slope and intercept in force.
    #[must_use]
    pub fn scaling(&self) -> Scaling {
        if self.scl_slope == 0.0 || !self.scl_slope.is_finite() {
            return Scaling::IDENTITY;
        }
        Scaling {
            slope: self.scl_slope,
            inter: self.scl_inter,
        }
    }

    /// From voxel index (i, j, k) to RAS+ mm: sform if its code is set, else qform, else nibabel's fallback from the spacing (x
    /// flipped, centre of the volume at the origin).
    #[must_use]
    pub fn affine(&self) -> Affine {
        let known = |code: i32| (1..=5).contains(&code);
        if known(self.sform_code) {
            let [x, y, z] = self.srow;
            return Affine::new([x, y, z, [0.0, 0.0, 0.0, 1.0]]);
        }
        let spacing = self.spacing();
        if known(self.qform_code) {
            let epsilon = match self.version {
                Version::Nifti1 => f64::from(f32::EPSILON),
                Version::Nifti2 => f64::EPSILON,
            };
            let qfac = self.pixdim[0];
            return qform_affine(self.quatern, self.qoffset, spacing, qfac, epsilon);
        }
        let [i, j, k, _] = self.dims();
        let step = [-spacing[0], spacing[1], spacing[2]];
        let mut rows = [[0.0; 4]; 4];
        for (axis, ((row, step), size)) in rows.iter_mut().zip(step).zip([i, j, k]).enumerate() {
            row[axis] = step;
            row[3] = -step * (size as f64 - 1.0) / 2.0;
        }
        rows[3][3] = 1.0;
        Affine::new(rows)
    }

    /// Spacing of i, j, k in mm with nibabel's repairs: the sign is dropped, and 0 (or NaN) becomes 1.
    fn spacing(&self) -> [f64; 3] {
        [1, 2, 3].map(|axis| match self.pixdim[axis].abs() {
            size if size > 0.0 && size.is_finite() => size,
            _ => 1.0,
        })
    }

    fn check(&self) -> Result<(), HeaderError> {
        let bad = |reason| {
            Err(HeaderError::Dimensions {
                dim: self.dim,
                reason,
            })
        };
        let count = self.dim[0];
        if !(1..=7).contains(&count) {
            return bad("dim[0] must be from 1 to 7");
        }
        for (axis, &size) in self.dim.iter().enumerate().skip(1) {
            if axis as i64 > count {
                break;
            }
            if size < 1 || usize::try_from(size).is_err() {
                return bad("every size must be at least 1");
            }
            if axis > 4 && size > 1 {
                return bad("a fifth or higher dimension is not supported");
            }
        }
        if self.single_file {
            let least = self.version.header_size() as u64 + 4;
            if self.vox_offset < least {
                return Err(bad_offset(self.vox_offset as f64, least));
            }
        }
        if self.scaling() != Scaling::IDENTITY && !self.scl_inter.is_finite() {
            return Err(HeaderError::Intercept {
                slope: self.scl_slope,
                inter: self.scl_inter,
            });
        }
        Ok(())
    }
}

fn places(version: Version) -> Places {
    match version {
        Version::Nifti1 => Places {
            pixdim: 76,
            vox_offset: 108,
            slope: 112,
            inter: 116,
            qform: 252,
            sform: 254,
            quatern: 256,
            qoffset: 268,
            srow: 280,
        },
        Version::Nifti2 => Places {
            pixdim: 104,
            vox_offset: 168,
            slope: 176,
            inter: 184,
            qform: 344,
            sform: 348,
            quatern: 352,
            qoffset: 376,
            srow: 400,
        },
    }
}

/// Whether the magic is that of a single file (true) or of a pair (false).
fn magic(found: &[u8], single: &[u8], pair: &[u8]) -> Result<bool, HeaderError> {
    if found == single {
        return Ok(true);
    }
    if found == pair {
        return Ok(false);
    }
    Err(HeaderError::Magic {
        expected: "n+1, ni1, n+2 or ni2",
        found: found.escape_ascii().to_string(),
    })
}

/// NIfTI-1 keeps the offset as a float.
fn vox_offset_f32(found: f64) -> Result<u64, HeaderError> {
    // 2^53: beyond it, whole numbers are not told apart.
    if found >= 0.0 && found.fract() == 0.0 && found < 9_007_199_254_740_992.0 {
        Ok(found as u64)
    } else {
        Err(bad_offset(found, 0))
    }
}

fn bad_offset(found: f64, least: u64) -> HeaderError {
    HeaderError::VoxelOffset { found, least }
}
