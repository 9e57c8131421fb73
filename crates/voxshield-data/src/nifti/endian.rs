//! Byte order, and reading numbers at fixed offsets.

/// Byte order of a file's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Endian {
    /// Least significant byte first.
    Little,
    /// Most significant byte first.
    Big,
}

/// Numbers at fixed offsets of a header whose length has been checked by the caller.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fields<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) endian: Endian,
}

impl Fields<'_> {
    /// `N` bytes at `at`; zeros beyond the end, which no caller reaches.
    pub(crate) fn raw<const N: usize>(&self, at: usize) -> [u8; N] {
        self.bytes
            .get(at..at + N)
            .and_then(|bytes| bytes.try_into().ok())
            .unwrap_or([0; N])
    }

    pub(crate) fn i16(&self, at: usize) -> i16 {
        match self.endian {
            Endian::Little => i16::from_le_bytes(self.raw(at)),
            Endian::Big => i16::from_be_bytes(self.raw(at)),
        }
    }

    pub(crate) fn i32(&self, at: usize) -> i32 {
        match self.endian {
            Endian::Little => i32::from_le_bytes(self.raw(at)),
            Endian::Big => i32::from_be_bytes(self.raw(at)),
        }
    }

    pub(crate) fn i64(&self, at: usize) -> i64 {
        match self.endian {
            Endian::Little => i64::from_le_bytes(self.raw(at)),
            Endian::Big => i64::from_be_bytes(self.raw(at)),
        }
    }

    pub(crate) fn f32(&self, at: usize) -> f64 {
        f64::from(match self.endian {
            Endian::Little => f32::from_le_bytes(self.raw(at)),
            Endian::Big => f32::from_be_bytes(self.raw(at)),
        })
    }

    pub(crate) fn f64(&self, at: usize) -> f64 {
        match self.endian {
            Endian::Little => f64::from_le_bytes(self.raw(at)),
            Endian::Big => f64::from_be_bytes(self.raw(at)),
        }
    }
}
