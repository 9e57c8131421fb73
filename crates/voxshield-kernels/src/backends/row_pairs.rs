//! Two real rows as one complex row, and the way between row pairs and columns.
//!
//! `rows` is `[pair, width]`, `columns` is the half spectrum transposed, `[half width, height]`. Pairs lie
//! within a slice, so that an empty slice has a spectrum of exact zeros.
//!
//! See `lanes` for why each is a type, not a function.

use pulp::NullaryFnOnce;
use rustfft::num_complex::Complex32;

/// Pairs that are transposed at a time: their rows stay in the first cache.
const PAIRS: usize = 8;

/// Rows `a` and `b` become `(a + i b) / 2`; an odd height's last row has nothing beside it.
pub(super) struct Pack<'a> {
    pub(super) slice: &'a [f32],
    pub(super) rows: &'a mut [Complex32],
    pub(super) width: usize,
}

impl NullaryFnOnce for Pack<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { slice, rows, width } = self;
        for (two, row) in slice.chunks(2 * width).zip(rows.chunks_exact_mut(width)) {
            let (a, b) = two.split_at(width);
            if b.is_empty() {
                for (out, a) in row.iter_mut().zip(a) {
                    *out = Complex32::new(0.5 * a, 0.0);
                }
            } else {
                for (out, (a, b)) in row.iter_mut().zip(a.iter().zip(b)) {
                    *out = Complex32::new(0.5 * a, 0.5 * b);
                }
            }
        }
    }
}

/// The inverse of [`Pack`], but for the factor.
pub(super) struct Unpack<'a> {
    pub(super) rows: &'a [Complex32],
    pub(super) slice: &'a mut [f32],
    pub(super) width: usize,
}

impl NullaryFnOnce for Unpack<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { rows, slice, width } = self;
        for (two, row) in slice.chunks_mut(2 * width).zip(rows.chunks_exact(width)) {
            let (a, b) = two.split_at_mut(width);
            for (out, v) in a.iter_mut().zip(row) {
                *out = v.re;
            }
            for (out, v) in b.iter_mut().zip(row) {
                *out = v.im;
            }
        }
    }
}

/// The half spectra of the rows from the spectra `Z` of [`Pack`]'s: those of `a` are
/// `Z_k + conj Z_-k`, those of `b` are `(Z_k - conj Z_-k) / i`.
pub(super) struct Split<'a> {
    pub(super) rows: &'a [Complex32],
    pub(super) columns: &'a mut [Complex32],
    pub(super) height: usize,
    pub(super) width: usize,
}

impl NullaryFnOnce for Split<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self {
            rows,
            columns,
            height,
            width,
        } = self;
        for (block, rows) in rows.chunks(PAIRS * width).enumerate() {
            for (k, column) in columns.chunks_exact_mut(height).enumerate() {
                let mirror = (width - k) % width;
                let first = 2 * PAIRS * block;
                let column = &mut column[first..(first + 2 * PAIRS).min(height)];
                for (row, two) in rows.chunks_exact(width).zip(column.chunks_mut(2)) {
                    let (z, m) = (row[k], row[mirror]);
                    two[0] = Complex32::new(z.re + m.re, z.im - m.im);
                    if let [_, b] = two {
                        *b = Complex32::new(z.im + m.im, m.re - z.re);
                    }
                }
            }
        }
    }
}

/// The other way: the spectra of pairs from the half spectra of rows, for an inverse transform that
/// gives `a + i b`. Of a column that is its own mirror image only the real part reaches a real row.
pub(super) struct Join<'a> {
    pub(super) columns: &'a [Complex32],
    pub(super) rows: &'a mut [Complex32],
    pub(super) height: usize,
    pub(super) width: usize,
}

impl NullaryFnOnce for Join<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self {
            columns,
            rows,
            height,
            width,
        } = self;
        for (block, rows) in rows.chunks_mut(PAIRS * width).enumerate() {
            for (k, column) in columns.chunks_exact(height).enumerate() {
                let first = 2 * PAIRS * block;
                let column = &column[first..(first + 2 * PAIRS).min(height)];
                for (row, two) in rows.chunks_exact_mut(width).zip(column.chunks(2)) {
                    let a = two[0];
                    let b = two.get(1).copied().unwrap_or_default();
                    if k == 0 || 2 * k == width {
                        row[k] = Complex32::new(a.re, b.re);
                    } else {
                        row[k] = Complex32::new(a.re - b.im, a.im + b.re);
                        row[width - k] = Complex32::new(a.re + b.im, b.re - a.im);
                    }
                }
            }
        }
    }
}
