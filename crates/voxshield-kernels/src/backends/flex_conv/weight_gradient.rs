//! The weight's gradient: `g[row, column] = sum_n y[row, n] x[n + start(column)]`, where a column is
//! a channel and a tap.
//!
//! Both volumes stand in the padded rows of the plan, `y` with zeros where `x` is padded. Sums of
//! at most [`BLOCK`] positions are added up per part of the volume, and the parts in their order:
//! the split depends on shapes only, so any number of threads gives the same bits.

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::few_positions;
use super::parts::{Part, SLAB};
use super::plan::Plan;

/// Positions that are summed in registers.
const BLOCK: usize = 1536;
/// Divides [`BLOCK`]; every vector's length divides it.
const LANES: usize = 16;
/// Tasks that are made where there is enough to divide.
const TASKS: usize = 16;
/// Floats that the partial sums of all tasks may take.
const PARTIAL: usize = 1 << 24;

/// `[batch, channel, ..source]` and `[batch, row, ..target]` to `[row, channel, tap]`; the plan is
/// that of the convolution.
pub(super) fn weight_gradient(
    arch: Arch,
    plan: &Plan,
    source: &[f32],
    target: &[f32],
    [channels, rows]: [usize; 2],
) -> Vec<f32> {
    let taps = plan.stencils[0].taps.len();
    let source_volume: usize = plan.source.iter().product();
    let target_volume: usize = plan.target.iter().product();
    let samples = source.len() / (channels * source_volume);
    if few_positions::pays(target.len() / rows, channels * taps, rows) {
        return few_positions::weight_gradient(arch, plan, source, target, [channels, rows]);
    }

    // Parts of whole planes only: with fewer positions in a part there are more sums over lanes.
    let [depth, height, _] = plan.grid;
    let plane = (channels * plan.source_phases.len() + rows) * plan.plane();
    let slabs = depth.div_ceil((SLAB / plane).clamp(1, depth));
    let planes = depth.div_ceil(slabs);
    let slabs = depth.div_ceil(planes);
    let weights = rows * channels * taps;
    let parts = (samples * slabs).min(TASKS).min(PARTIAL.div_ceil(weights));
    let per_part = (samples * slabs).div_ceil(parts);
    let per_chunk = channels.div_ceil(TASKS.div_ceil(parts));
    let chunks = channels.div_ceil(per_chunk);
    let parts = (samples * slabs).div_ceil(per_part);

    let partial: Vec<Vec<f32>> = (0..parts * chunks)
        .into_par_iter()
        .map(|task| {
            let (part, first) = (task / chunks, task % chunks * per_chunk);
            let chunk = per_chunk.min(channels - first);
            let mut sums = vec![0.0; rows * chunk * taps];
            for slab in part * per_part..((part + 1) * per_part).min(samples * slabs) {
                let (sample, first_plane) = (slab / slabs, slab % slabs * planes);
                let part = Part {
                    first: [first_plane, 0],
                    size: [planes.min(depth - first_plane), height],
                };
                let positions = plan.span(part).next_multiple_of(LANES);
                let x = &source[(sample * channels + first) * source_volume..];
                let x = &x[..chunk * source_volume];
                let y = &target[sample * rows * target_volume..][..rows * target_volume];
                let stride = plan.source_phases.len() * plan.channel_stride(positions);
                let starts = plan.starts(&plan.stencils[0], positions);
                let columns: Vec<usize> = (0..chunk)
                    .flat_map(|channel| starts.iter().map(move |start| channel * stride + start))
                    .collect();
                arch.dispatch(Run {
                    x: &plan.slab(x, part, positions),
                    y: &target_slab(plan, y, part, positions),
                    positions,
                    columns: &columns,
                    sums: &mut sums,
                });
            }
            sums
        })
        .collect();

    let mut out = vec![0.0; weights];
    out.par_chunks_mut(channels * taps)
        .enumerate()
        .for_each(|(row, out)| {
            for (chunk, out) in out.chunks_mut(per_chunk * taps).enumerate() {
                for part in 0..parts {
                    let partial = &partial[part * chunks + chunk][row * out.len()..];
                    out.iter_mut().zip(partial).for_each(|(o, p)| *o += p);
                }
            }
        });
    out
}

/// The planes of all rows of `y` at the positions of the plan, zeros between them.
fn target_slab(plan: &Plan, y: &[f32], part: Part, positions: usize) -> Vec<f32> {
    let [depth, height, width] = plan.target;
    let volume = depth * height * width;
    let mut slab = vec![0.0; y.len() / volume * positions];
    for (channel, out) in y.chunks_exact(volume).zip(slab.chunks_exact_mut(positions)) {
        let planes = channel.chunks_exact(height * width);
        let planes = planes.skip(part.first[0]).take(part.size[0]);
        for (d, plane) in planes.enumerate() {
            for (h, row) in plane.chunks_exact(width).enumerate() {
                let at = plan.flat([d as isize, h as isize, 0]) as usize;
                out[at..][..width].copy_from_slice(row);
            }
        }
    }
    slab
}

/// One slab's contribution to `sums`, `[row, column]`.
struct Run<'a> {
    x: &'a [f32],
    y: &'a [f32],
    positions: usize,
    columns: &'a [usize],
    sums: &'a mut [f32],
}

impl WithSimd for Run<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        if S::REGISTER_COUNT >= 32 {
            self.tiles::<S, 9>(simd);
        } else {
            self.tiles::<S, 3>(simd);
        }
    }
}

impl Run<'_> {
    #[inline(always)]
    fn tiles<S: Simd, const COLUMNS: usize>(&mut self, simd: S) {
        let rows = self.y.len() / self.positions;
        for at in (0..self.positions).step_by(BLOCK) {
            let length = BLOCK.min(self.positions - at);
            for column in (0..self.columns.len()).step_by(COLUMNS) {
                // The last columns are computed again where there is no whole tile of them.
                let x = std::array::from_fn(|i| {
                    let column = (column + i).min(self.columns.len() - 1);
                    &self.x[self.columns[column] + at..][..length]
                });
                let mut row = 0;
                while row < rows {
                    row += match rows - row {
                        1 => self.tile::<S, 1, COLUMNS>(simd, [row, column, at], x),
                        2 => self.tile::<S, 2, COLUMNS>(simd, [row, column, at], x),
                        _ => self.tile::<S, 3, COLUMNS>(simd, [row, column, at], x),
                    };
                }
            }
        }
    }

    /// Adds a tile of products, and says how many rows it had.
    #[inline(always)]
    fn tile<S: Simd, const ROWS: usize, const COLUMNS: usize>(
        &mut self,
        simd: S,
        [row, column, at]: [usize; 3],
        x: [&[f32]; COLUMNS],
    ) -> usize {
        let length = x[0].len();
        let y: [&[f32]; ROWS] =
            std::array::from_fn(|i| &self.y[(row + i) * self.positions + at..][..length]);
        let mut products = [0f32; 3 * 9 * LANES];
        let out = &mut products;
        simd.vectorize(Products { y, x, out });
        let (products, _) = S::as_simd_f32s(&products);
        let columns = self.columns.len();
        for (i, products) in products.chunks_exact(COLUMNS).take(ROWS).enumerate() {
            let sums = &mut self.sums[(row + i) * columns..][..columns];
            for (sum, &product) in sums[column..].iter_mut().zip(products) {
                *sum += simd.reduce_sum_f32s(product);
            }
        }
        ROWS
    }
}

/// `y x^T`, a vector of partial sums for each of `[row, column]`.
struct Products<'a, const ROWS: usize, const COLUMNS: usize> {
    y: [&'a [f32]; ROWS],
    x: [&'a [f32]; COLUMNS],
    out: &'a mut [f32],
}

impl<const ROWS: usize, const COLUMNS: usize> WithSimd for Products<'_, ROWS, COLUMNS> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let y = self.y.map(|row| S::as_simd_f32s(row).0);
        let x = self.x.map(|column| S::as_simd_f32s(column).0);
        let mut sums = [[simd.splat_f32s(0.0); COLUMNS]; ROWS];
        for n in 0..x[0].len() {
            let y: [S::f32s; ROWS] = std::array::from_fn(|row| y[row][n]);
            for column in 0..COLUMNS {
                let x = x[column][n];
                for row in 0..ROWS {
                    sums[row][column] = simd.mul_add_f32s(y[row], x, sums[row][column]);
                }
            }
        }
        // Constant indices only: with any other the sums live in memory.
        let (out, _) = S::as_mut_simd_f32s(&mut self.out[..ROWS * COLUMNS * S::F32_LANES]);
        for row in 0..ROWS {
            for column in 0..COLUMNS {
                out[row * COLUMNS + column] = sums[row][column];
            }
        }
    }
}
