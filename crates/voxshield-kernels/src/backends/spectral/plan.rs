//! Which sizes the kernels take, and how they cut the work. Nothing here depends on the device but
//! the question whether a slice fits it.

/// The largest prime factor for which a stage of the FFT is not much dearer than a DFT by matrix products.
const LARGEST_PRIME: usize = 61;

/// Elements of the sequences that one cube transforms, if a single one is not longer.
const TILE: usize = 512;

/// Bytes of the half spectra that are in memory at a time; the backward pass has two such buffers.
const CHUNK_BYTES: usize = 8 << 20;

/// Slices of one cube of the column kernels; one neighbour more, or two, is transformed again.
pub(super) const SEGMENT: usize = 8;

/// Stages of the FFT of length `n`.
pub(super) fn stages(n: usize) -> usize {
    radices(n).len()
}

/// The radix of a stage.
pub(super) fn radix(n: usize, stage: usize) -> usize {
    radices(n)[stage]
}

/// The length of the sub-transforms that a stage joins: the product of the radices before it.
pub(super) fn span(n: usize, stage: usize) -> usize {
    radices(n)[..stage].iter().product()
}

/// Fours first, then the other primes, the smallest first.
fn radices(mut n: usize) -> Vec<usize> {
    let mut radices = Vec::new();
    while n.is_multiple_of(4) {
        radices.push(4);
        n /= 4;
    }
    let mut prime = 2;
    while n > 1 {
        while n.is_multiple_of(prime) {
            radices.push(prime);
            n /= prime;
        }
        prime += 1;
    }
    radices
}

/// How slices of one size are transformed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) height: usize,
    pub(super) width: usize,
    /// Columns of the half spectrum.
    pub(super) half: usize,
    /// Pairs of rows that a cube transforms.
    pub(super) pairs: usize,
    /// Columns that a cube transforms.
    pub(super) columns: usize,
    /// Slices whose half spectra are in memory at a time.
    pub(super) chunk: usize,
}

impl Plan {
    /// `None` where the kernels cannot take the size: a row or column that does not fit in
    /// `shared` bytes of a cube's memory, or a large prime factor.
    pub(super) fn new(height: usize, width: usize, shared: usize) -> Option<Self> {
        let radices = [height, width].map(radices).concat();
        let plan = Self {
            height,
            width,
            half: width / 2 + 1,
            pairs: (TILE / width).max(1),
            columns: (TILE / height).max(1),
            chunk: (CHUNK_BYTES / (8 * height * (width / 2 + 1))).max(1),
        };
        let fits = plan.shared_bytes() <= shared && radices.iter().all(|&r| r <= LARGEST_PRIME);
        fits.then_some(plan)
    }

    /// Shared memory of the kernel that needs most of it: two regions of complex numbers for the
    /// rows; for the columns three, the amplitudes, and the sums.
    fn shared_bytes(&self) -> usize {
        let rows = 16 * self.pairs * self.width;
        let columns = 28 * self.columns * self.height;
        rows.max(columns) + 4 * crate::backends::cube_launch::UNITS
    }

    /// Pairs of rows of a slice; the last row of an odd height has none beside it.
    pub(super) fn pairs_of_slice(&self) -> usize {
        self.height.div_ceil(2)
    }

    /// Blocks of columns of a slice.
    pub(super) fn blocks(&self) -> usize {
        self.half.div_ceil(self.columns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn radices_multiply_to_the_length() {
        for n in 1..700 {
            assert_eq!(radices(n).iter().product::<usize>(), n);
            assert_eq!(span(n, stages(n)), n);
        }
        assert_eq!(radices(160), [4, 4, 2, 5]);
    }

    #[test]
    fn sizes_that_do_not_fit_are_refused() {
        let shared = 32 << 10;
        assert!(Plan::new(160, 160, shared).is_some());
        assert!(Plan::new(1, 1, shared).is_some());
        assert!(Plan::new(1024, 1024, shared).is_some());
        assert!(Plan::new(1200, 8, shared).is_none(), "shared memory");
        assert!(Plan::new(8, 67, shared).is_none(), "a large prime");
        assert!(Plan::new(1024, 8, 16 << 10).is_none());
    }
}
