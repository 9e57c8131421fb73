//! Voxel datatypes and the exact values stored in them.

use std::fmt;

use super::endian::Endian;

/// A NIfTI datatype. Integers and `float32`/`float64` can be protected; the others are recognised so that they can be refused
/// by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Datatype {
    /// Unsigned 8-bit integer, code 2.
    U8,
    /// Signed 16-bit integer, code 4.
    I16,
    /// Signed 32-bit integer, code 8.
    I32,
    /// 32-bit float, code 16.
    F32,
    /// Pair of 32-bit floats, code 32.
    Complex64,
    /// 64-bit float, code 64.
    F64,
    /// Three bytes, code 128.
    Rgb24,
    /// Signed 8-bit integer, code 256.
    I8,
    /// Unsigned 16-bit integer, code 512.
    U16,
    /// Unsigned 32-bit integer, code 768.
    U32,
    /// Signed 64-bit integer, code 1024.
    I64,
    /// Unsigned 64-bit integer, code 1280.
    U64,
    /// 128-bit float, code 1536.
    F128,
    /// Pair of 64-bit floats, code 1792.
    Complex128,
    /// Pair of 128-bit floats, code 2048.
    Complex256,
    /// Four bytes, code 2304.
    Rgba32,
}

/// Code, type, bytes per voxel and name (nibabel's) of every datatype.
const TABLE: [(i32, Datatype, usize, &str); 16] = [
    (2, Datatype::U8, 1, "uint8"),
    (4, Datatype::I16, 2, "int16"),
    (8, Datatype::I32, 4, "int32"),
    (16, Datatype::F32, 4, "float32"),
    (32, Datatype::Complex64, 8, "complex64"),
    (64, Datatype::F64, 8, "float64"),
    (128, Datatype::Rgb24, 3, "rgb24"),
    (256, Datatype::I8, 1, "int8"),
    (512, Datatype::U16, 2, "uint16"),
    (768, Datatype::U32, 4, "uint32"),
    (1024, Datatype::I64, 8, "int64"),
    (1280, Datatype::U64, 8, "uint64"),
    (1536, Datatype::F128, 16, "float128"),
    (1792, Datatype::Complex128, 16, "complex128"),
    (2048, Datatype::Complex256, 32, "complex256"),
    (2304, Datatype::Rgba32, 4, "rgba32"),
];

impl Datatype {
    /// The datatype of a NIfTI code; `None` for codes that the standard does not have (and for the retired 1-bit type).
    #[must_use]
    pub fn from_code(code: i32) -> Option<Self> {
        TABLE
            .iter()
            .find(|row| row.0 == code)
            .map(|&(_, datatype, ..)| datatype)
    }

    /// The NIfTI code.
    #[must_use]
    pub fn code(self) -> i32 {
        self.row().0
    }

    /// Bytes per voxel.
    #[must_use]
    pub fn size(self) -> usize {
        self.row().2
    }

    /// The name that nibabel uses, such as `int16`.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.row().3
    }

    /// Whether one voxel is one real number, so that it can be read and protected.
    #[must_use]
    pub fn is_real(self) -> bool {
        self.is_integer() || matches!(self, Self::F32 | Self::F64)
    }

    /// Whether voxels are integers.
    #[must_use]
    pub fn is_integer(self) -> bool {
        self.integer_limits().is_some()
    }

    /// Smallest and largest stored integer; `None` for other types.
    #[must_use]
    pub fn integer_limits(self) -> Option<(i128, i128)> {
        Some(match self {
            Self::U8 => (0, u8::MAX.into()),
            Self::I8 => (i8::MIN.into(), i8::MAX.into()),
            Self::U16 => (0, u16::MAX.into()),
            Self::I16 => (i16::MIN.into(), i16::MAX.into()),
            Self::U32 => (0, u32::MAX.into()),
            Self::I32 => (i32::MIN.into(), i32::MAX.into()),
            Self::U64 => (0, u64::MAX.into()),
            Self::I64 => (i64::MIN.into(), i64::MAX.into()),
            _ => return None,
        })
    }

    /// The stored number in the bytes of one voxel; `None` for a slice of the wrong length or a type that is not real.
    pub(crate) fn decode(self, bytes: &[u8], endian: Endian) -> Option<Number> {
        fn take<const N: usize>(bytes: &[u8], endian: Endian) -> Option<[u8; N]> {
            let mut bytes: [u8; N] = bytes.try_into().ok()?;
            if endian == Endian::Big {
                bytes.reverse();
            }
            Some(bytes)
        }
        Some(match self {
            Self::U8 => Number::Integer(u8::from_le_bytes(take(bytes, endian)?).into()),
            Self::I8 => Number::Integer(i8::from_le_bytes(take(bytes, endian)?).into()),
            Self::U16 => Number::Integer(u16::from_le_bytes(take(bytes, endian)?).into()),
            Self::I16 => Number::Integer(i16::from_le_bytes(take(bytes, endian)?).into()),
            Self::U32 => Number::Integer(u32::from_le_bytes(take(bytes, endian)?).into()),
            Self::I32 => Number::Integer(i32::from_le_bytes(take(bytes, endian)?).into()),
            Self::U64 => Number::Integer(u64::from_le_bytes(take(bytes, endian)?).into()),
            Self::I64 => Number::Integer(i64::from_le_bytes(take(bytes, endian)?).into()),
            Self::F32 => Number::F32(f32::from_le_bytes(take(bytes, endian)?)),
            Self::F64 => Number::F64(f64::from_le_bytes(take(bytes, endian)?)),
            _ => return None,
        })
    }

    /// Writes `number` into the bytes of one voxel. A number of another kind or out of range leaves the bytes as they are.
    pub(crate) fn encode(self, number: Number, bytes: &mut [u8], endian: Endian) {
        let (little, size) = match number {
            // Two's complement: the low bytes of the i128 are those of the narrower type.
            Number::Integer(value) => {
                let fits = self
                    .integer_limits()
                    .is_some_and(|(low, high)| (low..=high).contains(&value));
                if !fits {
                    return;
                }
                (value.to_le_bytes(), self.size())
            }
            Number::F32(value) if self == Self::F32 => {
                (u128::from(value.to_bits()).to_le_bytes(), 4)
            }
            Number::F64(value) if self == Self::F64 => {
                (u128::from(value.to_bits()).to_le_bytes(), 8)
            }
            Number::F32(_) | Number::F64(_) => return,
        };
        if bytes.len() != size {
            return;
        }
        for (target, &source) in bytes.iter_mut().zip(little.iter().take(size)) {
            *target = source;
        }
        if endian == Endian::Big {
            bytes.reverse();
        }
    }

    fn row(self) -> &'static (i32, Self, usize, &'static str) {
        TABLE.iter().find(|row| row.1 == self).unwrap_or(&TABLE[0])
    }
}

impl fmt::Display for Datatype {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// The exact number stored in one voxel, before slope and intercept.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    /// From any integer datatype, 64-bit ones included, without rounding.
    Integer(i128),
    /// From `float32` (widened exactly) or `float64`.
    Float(f64),
}

/// As [`Value`], but remembering the float's width.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Number {
    Integer(i128),
    F32(f32),
    F64(f64),
}

impl Number {
    /// Nearest f64; exact but for integers beyond 2^53.
    pub(crate) fn as_f64(self) -> f64 {
        match self {
            Self::Integer(value) => value as f64,
            Self::F32(value) => value.into(),
            Self::F64(value) => value,
        }
    }
}

impl From<Number> for Value {
    fn from(number: Number) -> Self {
        match number {
            Number::Integer(value) => Self::Integer(value),
            Number::F32(value) => Self::Float(value.into()),
            Number::F64(value) => Self::Float(value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_is_complete_and_consistent() {
        for (code, datatype, size, name) in TABLE {
            assert_eq!(Datatype::from_code(code), Some(datatype));
            assert_eq!(datatype.code(), code);
            assert_eq!(datatype.size(), size);
            assert_eq!(datatype.to_string(), name);
            let oracle = nifti::NiftiHeader {
                datatype: i16::try_from(code).unwrap(),
                ..Default::default()
            };
            assert_eq!(oracle.data_type().unwrap().size_of(), size, "{name}");
        }
        assert_eq!(Datatype::from_code(1), None);
        assert_eq!(TABLE.iter().filter(|row| row.1.is_real()).count(), 10);
    }

    #[test]
    fn extremes_survive_encode_and_decode_in_both_orders() {
        for endian in [Endian::Little, Endian::Big] {
            for (_, datatype, size, name) in TABLE {
                let mut numbers = vec![];
                if let Some((low, high)) = datatype.integer_limits() {
                    numbers.extend([low, high, (low + high) / 2, 1].map(Number::Integer));
                }
                match datatype {
                    Datatype::F32 => {
                        numbers.extend([f32::MIN, f32::from_bits(1), -0.0].map(Number::F32));
                    }
                    Datatype::F64 => {
                        numbers.extend([f64::MAX, f64::from_bits(1), 0.1].map(Number::F64));
                    }
                    _ => {}
                }
                for number in numbers {
                    let mut bytes = vec![0xAA; size];
                    datatype.encode(number, &mut bytes, endian);
                    assert_eq!(datatype.decode(&bytes, endian), Some(number), "{name}");
                }
            }
        }
    }

    #[test]
    fn byte_order_is_what_it_says() {
        let bytes = [0x01, 0x02];
        assert_eq!(
            Datatype::I16.decode(&bytes, Endian::Big),
            Some(Number::Integer(0x0102))
        );
        assert_eq!(
            Datatype::I16.decode(&bytes, Endian::Little),
            Some(Number::Integer(0x0201))
        );
    }

    #[test]
    fn what_does_not_fit_changes_nothing() {
        let mut bytes = [7];
        Datatype::U8.encode(Number::Integer(256), &mut bytes, Endian::Little);
        Datatype::U8.encode(Number::F32(1.0), &mut bytes, Endian::Little);
        assert_eq!(bytes, [7]);
        assert_eq!(Datatype::Rgb24.decode(&[1, 2, 3], Endian::Little), None);
        assert_eq!(Datatype::I16.decode(&[1], Endian::Little), None);
    }
}
