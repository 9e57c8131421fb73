//! The row transforms. Two real rows are one complex row; pairs lie within a slice, so that an
//! empty slice has a spectrum of exact zeros whatever its neighbours hold.
//!
//! Spectra are `[2, slice, half width, height]`, real parts first: the columns of the second
//! transform lie in one piece.
#![allow(
    clippy::too_many_arguments,
    reason = "a kernel is given its buffers and sizes one by one"
)]

use burn_cubecl::cubecl::{self, prelude::*};

use super::fft::{Batch, fft};

/// The half spectra of the rows of the slices from `first` on. `x` is `[slice, height, width]`.
#[cube(launch, address_type = "dynamic")]
pub(super) fn row_spectra(
    x: &[f32],
    table: &[f32],
    spectra: &mut [f32],
    first: usize,
    slices: usize,
    #[comptime] height: usize,
    #[comptime] batch: Batch,
) {
    let width = comptime!(batch.n);
    let half = comptime!(batch.n / 2 + 1);
    let pairs_of_slice = comptime!(height.div_ceil(2));
    let pairs = slices * pairs_of_slice;
    let first_pair = CUBE_POS * comptime!(batch.count);
    if first_pair >= pairs {
        terminate!();
    }
    let mut re = Shared::<[f32]>::new_slice(comptime!(2 * batch.len()));
    let mut im = Shared::<[f32]>::new_slice(comptime!(2 * batch.len()));

    let mut i = UNIT_POS as usize;
    while i < comptime!(batch.len()) {
        let pair = first_pair + i / width;
        let h = pair % pairs_of_slice * 2;
        let at = ((first + pair / pairs_of_slice) * height + h) * width + i % width;
        re[i] = 0.0;
        im[i] = 0.0;
        if pair < pairs {
            re[i] = x[at];
            if h + 1 < height {
                im[i] = x[at + width];
            }
        }
        i += comptime!(batch.units);
    }
    fft(&mut re, &mut im, table, batch, false);

    let imaginary = spectra.len() / 2;
    let mut i = UNIT_POS as usize;
    while i < comptime!(2 * batch.count * half) {
        let row = i % comptime!(2 * batch.count);
        let k = i / comptime!(2 * batch.count);
        let pair = first_pair + row / 2;
        let h = pair % pairs_of_slice * 2 + row % 2;
        if pair < pairs && h < height {
            let sequence = comptime!(batch.result()) + row / 2 * width;
            let a = sequence + k;
            let b = sequence + (width - k) % width;
            // (Z_k + conj Z_-k) / 2 is the even row's, (Z_k - conj Z_-k) / 2i the odd row's.
            let odd = row % 2 == 1;
            let at = (pair / pairs_of_slice * half + k) * height + h;
            spectra[at] = 0.5 * select(odd, im[a] + im[b], re[a] + re[b]);
            spectra[imaginary + at] = 0.5 * select(odd, re[b] - re[a], im[a] - im[b]);
        }
        i += comptime!(batch.units);
    }
}

/// The adjoint: real rows from half spectra, written to the slices of `out` from `first` on.
#[cube(launch, address_type = "dynamic")]
pub(super) fn row_adjoint(
    spectra: &[f32],
    table: &[f32],
    out: &mut [f32],
    first: usize,
    slices: usize,
    #[comptime] height: usize,
    #[comptime] batch: Batch,
) {
    let width = comptime!(batch.n);
    let half = comptime!(batch.n / 2 + 1);
    let pairs_of_slice = comptime!(height.div_ceil(2));
    let pairs = slices * pairs_of_slice;
    let first_pair = CUBE_POS * comptime!(batch.count);
    if first_pair >= pairs {
        terminate!();
    }
    let mut re = Shared::<[f32]>::new_slice(comptime!(2 * batch.len()));
    let mut im = Shared::<[f32]>::new_slice(comptime!(2 * batch.len()));

    let imaginary = spectra.len() / 2;
    let mut i = UNIT_POS as usize;
    while i < comptime!(batch.len()) {
        // Neighbouring units read neighbouring rows of a column.
        let sequence = i % comptime!(batch.count);
        let k = i / comptime!(batch.count);
        let pair = first_pair + sequence;
        let h = pair % pairs_of_slice * 2;
        let mut a_re = 0f32;
        let mut a_im = 0f32;
        let mut b_re = 0f32;
        let mut b_im = 0f32;
        if pair < pairs {
            let mirrored = 2 * k > width;
            let column = select(mirrored, width - k, k);
            let at = (pair / pairs_of_slice * half + column) * height + h;
            // Only the real part of a column that is its own mirror image reaches the result.
            let own_mirror = k == 0 || 2 * k == width;
            let sign = select(own_mirror, 0f32, select(mirrored, -1f32, 1f32));
            a_re = spectra[at];
            a_im = sign * spectra[imaginary + at];
            if h + 1 < height {
                b_re = spectra[at + 1];
                b_im = sign * spectra[imaginary + at + 1];
            }
        }
        re[sequence * width + k] = a_re - b_im;
        im[sequence * width + k] = a_im + b_re;
        i += comptime!(batch.units);
    }
    fft(&mut re, &mut im, table, batch, true);

    let mut i = UNIT_POS as usize;
    while i < comptime!(batch.len()) {
        let pair = first_pair + i / width;
        let h = pair % pairs_of_slice * 2;
        if pair < pairs {
            let at = ((first + pair / pairs_of_slice) * height + h) * width + i % width;
            out[at] = re[comptime!(batch.result()) + i];
            if h + 1 < height {
                out[at + width] = im[comptime!(batch.result()) + i];
            }
        }
        i += comptime!(batch.units);
    }
}
