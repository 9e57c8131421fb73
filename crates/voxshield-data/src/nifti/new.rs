//! Fresh NIfTI-1 files.

use std::path::Path;

use ndarray::{ArrayView, ArrayView3, ArrayView4, Axis};

use super::datatype::{Datatype, Number};
use super::endian::Endian;
use super::error::HeaderError;
use super::qform::quaternion_of;
use super::scaling::Scaling;
use super::write::write_part;
use crate::error::DataError;
use crate::geometry::Affine;

/// Voxels of a new file, axes `[i, j, k, channel]`, any memory order; made with `From` from a view of three or four axes.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum NewVoxels<'a> {
    /// `uint8`
    U8(ArrayView4<'a, u8>),
    /// `int16`
    I16(ArrayView4<'a, i16>),
    /// `uint16`
    U16(ArrayView4<'a, u16>),
    /// `int32`
    I32(ArrayView4<'a, i32>),
    /// `float32`
    F32(ArrayView4<'a, f32>),
    /// `float64`
    F64(ArrayView4<'a, f64>),
}

macro_rules! from_views {
    ($($variant:ident $kind:ty),+) => {$(
        impl<'a> From<ArrayView3<'a, $kind>> for NewVoxels<'a> {
            fn from(view: ArrayView3<'a, $kind>) -> Self {
                Self::$variant(view.insert_axis(Axis(3)))
            }
        }

        impl<'a> From<ArrayView4<'a, $kind>> for NewVoxels<'a> {
            fn from(view: ArrayView4<'a, $kind>) -> Self {
                Self::$variant(view)
            }
        }
    )+};
}

from_views!(U8 u8, I16 i16, U16 u16, I32 i32, F32 f32, F64 f64);

impl NewVoxels<'_> {
    fn shape(&self) -> [usize; 4] {
        let shape = match self {
            Self::U8(view) => view.dim(),
            Self::I16(view) => view.dim(),
            Self::U16(view) => view.dim(),
            Self::I32(view) => view.dim(),
            Self::F32(view) => view.dim(),
            Self::F64(view) => view.dim(),
        };
        shape.into()
    }

    /// Datatype and little-endian bytes in file order.
    fn bytes(self) -> (Datatype, Vec<u8>) {
        fn pack<T: Copy>(
            datatype: Datatype,
            view: ArrayView<'_, T, ndarray::Ix4>,
            number: impl Fn(T) -> Number,
        ) -> (Datatype, Vec<u8>) {
            let size = datatype.size();
            let mut bytes = vec![0; view.len() * size];
            // Reversed axes iterate with i fastest, which is file order.
            for (voxel, &value) in bytes
                .chunks_exact_mut(size)
                .zip(view.reversed_axes().iter())
            {
                datatype.encode(number(value), voxel, Endian::Little);
            }
            (datatype, bytes)
        }
        match self {
            Self::U8(view) => pack(Datatype::U8, view, |v| Number::Integer(v.into())),
            Self::I16(view) => pack(Datatype::I16, view, |v| Number::Integer(v.into())),
            Self::U16(view) => pack(Datatype::U16, view, |v| Number::Integer(v.into())),
            Self::I32(view) => pack(Datatype::I32, view, |v| Number::Integer(v.into())),
            Self::F32(view) => pack(Datatype::F32, view, Number::F32),
            Self::F64(view) => pack(Datatype::F64, view, Number::F64),
        }
    }
}

/// Writes a new little-endian NIfTI-1 file, `.nii` or `.nii.gz` by its name, atomically. The affine goes into the sform and,
/// unless it shears, the qform (codes 1, scanner), its column lengths into `pixdim`, in mm. Slope 1, intercept 0.
///
/// # Errors
/// [`DataError::Header`] for an axis that is empty or longer than 32767 (NIfTI-1's limit),
/// [`DataError::DegenerateAffine`] for an affine without inverse, [`DataError::TargetName`] for another ending,
/// [`DataError::Io`] when writing fails.
pub fn write_new<'a>(
    path: &Path,
    voxels: impl Into<NewVoxels<'a>>,
    affine: &Affine,
) -> Result<(), DataError> {
    write_new_scaled(path, voxels, affine, Scaling::IDENTITY)
}

/// As [`write_new`], with a slope and an intercept, which the format keeps as float32.
pub(crate) fn write_new_scaled<'a>(
    path: &Path,
    voxels: impl Into<NewVoxels<'a>>,
    affine: &Affine,
    scaling: Scaling,
) -> Result<(), DataError> {
    let voxels = voxels.into();
    let name = super::paths::file_name(path);
    if ![".nii", ".nii.gz"]
        .iter()
        .any(|ending| super::paths::ends_with_ignore_case(&name, ending))
    {
        return Err(DataError::TargetName {
            path: path.to_path_buf(),
            stored: "one file",
            expected: ".nii or .nii.gz",
        });
    }
    if !affine.is_invertible() {
        return Err(DataError::DegenerateAffine {
            path: path.to_path_buf(),
        });
    }
    let dim = dimensions(path, voxels.shape())?;
    let (datatype, bytes) = voxels.bytes();
    let header = header(dim, datatype, affine, scaling);
    write_part(path, &[&header, &bytes])?.commit()
}

fn dimensions(path: &Path, shape: [usize; 4]) -> Result<[i16; 8], DataError> {
    let mut dim = [1_i16; 8];
    dim[0] = if shape[3] == 1 { 3 } else { 4 };
    for (target, &size) in dim.iter_mut().skip(1).zip(&shape) {
        *target = i16::try_from(size)
            .ok()
            .filter(|&size| size > 0)
            .ok_or_else(|| DataError::Header {
                path: path.to_path_buf(),
                problem: HeaderError::Dimensions {
                    dim: [
                        4,
                        shape[0] as i64,
                        shape[1] as i64,
                        shape[2] as i64,
                        shape[3] as i64,
                        1,
                        1,
                        1,
                    ],
                    reason: "NIfTI-1 axes have 1 to 32767 voxels",
                },
            })?;
    }
    Ok(dim)
}

/// The 352 bytes before the voxels; offsets as in nifti1.h.
fn header(dim: [i16; 8], datatype: Datatype, affine: &Affine, scaling: Scaling) -> Vec<u8> {
    let mut bytes = vec![0; 352];
    let mut put = |at: usize, field: &[u8]| {
        for (target, &source) in bytes.iter_mut().skip(at).zip(field) {
            *target = source;
        }
    };
    put(0, &348_i32.to_le_bytes());
    for (index, size) in dim.iter().enumerate() {
        put(40 + 2 * index, &size.to_le_bytes());
    }
    put(70, &(datatype.code() as i16).to_le_bytes());
    put(72, &((datatype.size() * 8) as i16).to_le_bytes());
    let quaternion = quaternion_of(affine);
    let spacing = affine.column_norms();
    let pixdim = [
        quaternion.map_or(1.0, |(_, qfac)| qfac),
        spacing[0],
        spacing[1],
        spacing[2],
        1.0,
        1.0,
        1.0,
        1.0,
    ];
    for (index, &size) in pixdim.iter().enumerate() {
        put(76 + 4 * index, &(size as f32).to_le_bytes());
    }
    put(108, &352_f32.to_le_bytes());
    put(112, &(scaling.slope as f32).to_le_bytes());
    put(116, &(scaling.inter as f32).to_le_bytes());
    // Millimetres.
    put(123, &[2]);
    let rows = affine.rows();
    if let Some((quatern, _)) = quaternion {
        put(252, &1_i16.to_le_bytes());
        for (index, &value) in quatern.iter().enumerate() {
            put(256 + 4 * index, &(value as f32).to_le_bytes());
            put(268 + 4 * index, &(rows[index][3] as f32).to_le_bytes());
        }
    }
    put(254, &1_i16.to_le_bytes());
    for (row, values) in rows.iter().take(3).enumerate() {
        for (column, &value) in values.iter().enumerate() {
            put(280 + 16 * row + 4 * column, &(value as f32).to_le_bytes());
        }
    }
    put(344, b"n+1\0");
    bytes
}
