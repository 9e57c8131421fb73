//! The column transforms, and what is done with the spectra while they are in shared memory. A cube
//! has a block of columns and goes from slice to slice.
//!
//! Spectra are `[2, slice, half width, height]`, real parts first.
#![allow(
    clippy::too_many_arguments,
    reason = "a kernel is given its buffers and sizes one by one"
)]

use burn_cubecl::cubecl::{self, prelude::*};

use super::{
    fft::{Batch, fft},
    plan::SEGMENT,
};
use crate::{backends::cube_sums::cube_sum, ops::column_weight};

/// Which slices the spectra belong to.
#[derive(CubeType, CubeLaunch, Clone, Copy)]
pub(super) struct Chunk {
    /// The first slice, counted through all volumes.
    pub(super) first: usize,
    /// Slices that are there.
    pub(super) slices: usize,
    /// Slices of a volume.
    pub(super) depth: usize,
}

/// Slice size and transforms of a column kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Columns {
    pub(super) width: usize,
    pub(super) batch: Batch,
}

impl Columns {
    fn half(self) -> usize {
        self.width / 2 + 1
    }

    fn blocks(self) -> usize {
        self.half().div_ceil(self.batch.count)
    }

    /// Numbers of a slice's half spectrum.
    fn slice(self) -> usize {
        self.half() * self.batch.n
    }

    /// 2 at the end: the columns' weight is 1 at both of them, or at the first only.
    fn last_weight(self) -> f32 {
        column_weight(self.width, self.half() - 1)
    }
}

/// Loads the block's columns of `slice` into the first region and transforms them.
#[cube]
fn load(
    spectra: &[f32],
    slice: usize,
    table: &[f32],
    re: &mut Shared<[f32]>,
    im: &mut Shared<[f32]>,
    #[comptime] columns: Columns,
) {
    let imaginary = spectra.len() / 2;
    let block = CUBE_POS % comptime!(columns.blocks());
    let start = block * comptime!(columns.batch.len());
    let mut i = UNIT_POS as usize;
    while i < comptime!(columns.batch.len()) {
        let at = slice * comptime!(columns.slice()) + start + i;
        let there = start + i < comptime!(columns.slice());
        re[i] = 0.0;
        im[i] = 0.0;
        if there {
            re[i] = spectra[at];
            im[i] = spectra[imaginary + at];
        }
        i += comptime!(columns.batch.units);
    }
    fft(re, im, table, columns.batch, false);
}

/// `parts[pair, block]`: the part of a pair's squared distance that lies in a block of columns.
/// Pairs of slices that belong to different volumes are left out.
#[cube(launch, address_type = "dynamic")]
pub(super) fn column_distances(
    spectra: &[f32],
    table: &[f32],
    parts: &mut [f32],
    chunk: Chunk,
    #[comptime] columns: Columns,
) {
    let blocks = comptime!(columns.blocks());
    let len = comptime!(columns.batch.len());
    let block = CUBE_POS % blocks;
    let from = CUBE_POS / blocks * SEGMENT;
    if from + 1 >= chunk.slices {
        terminate!();
    }
    let to = min(from + SEGMENT, chunk.slices - 1);

    let mut re = Shared::<[f32]>::new_slice(comptime!(2 * len));
    let mut im = Shared::<[f32]>::new_slice(comptime!(2 * len));
    let mut amplitudes = Shared::<[f32]>::new_slice(len);
    let mut sums = Shared::<[f32]>::new_slice(comptime!(columns.batch.units));
    for slice in from..to + 1 {
        load(spectra, slice, table, &mut re, &mut im, columns);
        let mut sum = 0f32;
        let mut i = UNIT_POS as usize;
        while i < len {
            let amplitude = magnitude(
                re[comptime!(columns.batch.result()) + i],
                im[comptime!(columns.batch.result()) + i],
            );
            if slice > from {
                let step = amplitude - amplitudes[i];
                sum += weight(block * len + i, columns) * step * step;
            }
            amplitudes[i] = amplitude;
            i += comptime!(columns.batch.units);
        }
        let sum = cube_sum(sum, &mut sums, comptime!(columns.batch.units));
        if slice > from && UNIT_POS == 0 {
            let below = chunk.first + slice - 1;
            let z = below % chunk.depth;
            if z + 1 < chunk.depth {
                let pair = below / chunk.depth * (chunk.depth - 1) + z;
                parts[pair * blocks + block] = sum;
            }
        }
    }
}

/// Turns spectra into the gradient of the distances, and those back along the columns.
///
/// `out` gets the slices from `skip` on, `owned` of them; the others are neighbours. `gradient` and
/// `distances` are `[volume, depth - 1]`.
#[cube(launch, address_type = "dynamic")]
pub(super) fn column_pulls(
    spectra: &[f32],
    table: &[f32],
    distances: &[f32],
    gradient: &[f32],
    out: &mut [f32],
    chunk: Chunk,
    skip: usize,
    owned: usize,
    #[comptime] columns: Columns,
) {
    let blocks = comptime!(columns.blocks());
    let len = comptime!(columns.batch.len());
    let result = comptime!(columns.batch.result());
    let current = comptime!(2 * columns.batch.len());
    let block = CUBE_POS % blocks;
    let from = skip + CUBE_POS / blocks * SEGMENT;
    if from >= skip + owned {
        terminate!();
    }
    let to = min(from + SEGMENT, skip + owned);

    let mut re = Shared::<[f32]>::new_slice(comptime!(3 * len));
    let mut im = Shared::<[f32]>::new_slice(comptime!(3 * len));
    let mut below = Shared::<[f32]>::new_slice(len);
    // Where there is no neighbour, some slice stands in for it and is not looked at.
    load(
        spectra,
        select(from > 0, from - 1, 0),
        table,
        &mut re,
        &mut im,
        columns,
    );
    let mut i = UNIT_POS as usize;
    while i < len {
        below[i] = magnitude(re[result + i], im[result + i]);
        i += comptime!(columns.batch.units);
    }
    load(spectra, from, table, &mut re, &mut im, columns);
    let mut i = UNIT_POS as usize;
    while i < len {
        re[current + i] = re[result + i];
        im[current + i] = im[result + i];
        i += comptime!(columns.batch.units);
    }

    for slice in from..to {
        let z = (chunk.first + slice) % chunk.depth;
        let pair = (chunk.first + slice) / chunk.depth * (chunk.depth - 1) + z;
        let has_below = z > 0;
        let has_above = z + 1 < chunk.depth;
        let mut below_scale = 0f32;
        let mut above_scale = 0f32;
        if has_below {
            below_scale = gradient[pair - 1] / distances[pair - 1];
        }
        if has_above {
            above_scale = gradient[pair] / distances[pair];
        }
        let next = min(slice + 1, chunk.slices - 1);
        load(spectra, next, table, &mut re, &mut im, columns);
        let mut i = UNIT_POS as usize;
        while i < len {
            let (x, y) = (re[current + i], im[current + i]);
            let (next_x, next_y) = (re[result + i], im[result + i]);
            let amplitude = magnitude(x, y);
            let mut pull = 0f32;
            if has_below {
                pull += below_scale * (amplitude - below[i]);
            }
            if has_above {
                pull -= above_scale * (magnitude(next_x, next_y) - amplitude);
            }
            // The gradient of the amplitude at 0 is 0.
            let ratio = select(amplitude > 0.0, pull / amplitude, 0.0);
            below[i] = amplitude;
            re[current + i] = next_x;
            im[current + i] = next_y;
            re[i] = x * ratio;
            im[i] = y * ratio;
            i += comptime!(columns.batch.units);
        }
        fft(&mut re, &mut im, table, columns.batch, true);
        let imaginary = out.len() / 2;
        let mut i = UNIT_POS as usize;
        while i < len {
            let within = block * len + i;
            if within < comptime!(columns.slice()) {
                let at = (slice - skip) * comptime!(columns.slice()) + within;
                out[at] = re[result + i];
                out[imaginary + at] = im[result + i];
            }
            i += comptime!(columns.batch.units);
        }
    }
}

#[cube]
fn magnitude(x: f32, y: f32) -> f32 {
    (x * x + y * y).sqrt()
}

/// How often an element of the half spectrum occurs in the full one; 0 beyond the last column,
/// where the block holds zeros.
#[cube]
fn weight(within: usize, #[comptime] columns: Columns) -> f32 {
    let column = within / comptime!(columns.batch.n);
    let last = comptime!(columns.half() - 1);
    let inner = select(
        column == last,
        comptime!(columns.last_weight()).runtime(),
        2.0,
    );
    select(column == 0, 1.0, inner)
}
