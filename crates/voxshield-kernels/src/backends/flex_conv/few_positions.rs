//! The weight's gradient from few positions, `g[row, column] = sum_n y[row, n] x[n, column]`, where
//! a column is a channel and a tap: the layers of the deepest levels, with most of the weights.
//!
//! Vectors lie along the columns, so no sum runs across a vector's lanes, which for few positions
//! costs more than the products. It takes a matrix of all taps of `x`.

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::correlate::{POSITIONS, ROWS, Tile, WidestTile};
use super::plan::Plan;

/// Columns of a panel of the matrix: every tile's width divides it.
const PANEL: usize = POSITIONS;
/// Rows of one task: so often is a panel used while it is in the first-level cache.
const GROUP: usize = 32;
/// More positions than this are summed along the positions.
const MOST_POSITIONS: usize = 512;
/// With fewer rows the matrix costs more than it saves.
const FEWEST_ROWS: usize = 64;
/// Floats that the matrix may take.
const MATRIX: usize = 1 << 22;

/// Whether this is the faster way.
pub(super) fn pays(positions: usize, columns: usize, rows: usize) -> bool {
    positions <= MOST_POSITIONS && rows >= FEWEST_ROWS && positions * columns <= MATRIX
}

/// See [`weight_gradient`](super::weight_gradient::weight_gradient).
pub(super) fn weight_gradient(
    arch: Arch,
    plan: &Plan,
    source: &[f32],
    target: &[f32],
    [channels, rows]: [usize; 2],
) -> Vec<f32> {
    let columns = channels * plan.stencils[0].taps.len();
    let volume: usize = plan.target.iter().product();
    let positions = target.len() / rows;
    let panels = panels(plan, source, channels);
    let width = arch.dispatch(WidestTile);
    let mut out = vec![0.0; rows * columns];
    out.par_chunks_mut(GROUP * columns)
        .enumerate()
        .for_each(|(group, out)| {
            let first = group * GROUP;
            let last = (first + GROUP).min(rows);
            let blocks = (first..last).step_by(width).map(|row| {
                let mut block = vec![0.0; positions * width];
                for (n, block) in block.chunks_exact_mut(width).enumerate() {
                    let sample = n / volume * rows;
                    for (row, value) in (row..last).zip(block) {
                        *value = target[(sample + row) * volume + n % volume];
                    }
                }
                block
            });
            arch.dispatch(Group {
                panels: &panels,
                positions,
                blocks: blocks.collect(),
                columns,
                out,
            });
        });
    out
}

/// `x` as `[panel, position of any sample, column]`, 0 where a tap reads no voxel.
fn panels(plan: &Plan, source: &[f32], channels: usize) -> Vec<f32> {
    let volume: usize = plan.source.iter().product();
    let offsets = offsets(plan);
    let taps = plan.stencils[0].taps.len();
    let samples = source.len() / (channels * volume);
    let columns = channels * taps;
    let positions = samples * offsets.len() / taps;
    let mut panels = vec![0.0; columns.div_ceil(PANEL) * positions * PANEL];
    panels
        .par_chunks_exact_mut(positions * PANEL)
        .enumerate()
        .for_each(|(panel, out)| {
            let first = panel * PANEL;
            let of_column = |column: usize| (column / taps * volume, column % taps);
            let read: Vec<_> = (first..(first + PANEL).min(columns))
                .map(of_column)
                .collect();
            let lines = out.chunks_exact_mut(PANEL);
            let samples = source.chunks_exact(channels * volume);
            let at =
                samples.flat_map(|sample| offsets.chunks_exact(taps).map(move |o| (sample, o)));
            for (line, (sample, offsets)) in lines.zip(at) {
                for (value, &(channel, tap)) in line.iter_mut().zip(&read) {
                    let channel = &sample[channel..][..volume];
                    *value = channel.get(offsets[tap]).copied().unwrap_or(0.0);
                }
            }
        });
    panels
}

/// Which voxel of a channel each `[position, tap]` reads; the number of voxels where none.
fn offsets(plan: &Plan) -> Vec<usize> {
    let [depth, height, width] = plan.source;
    let taps = &plan.stencils[0].taps;
    let [_, rows, columns] = plan.target;
    let positions = 0..plan.target.iter().product::<usize>();
    let positions = positions.map(|n| [n / (rows * columns), n / columns % rows, n % columns]);
    positions
        .flat_map(|position| {
            taps.iter().map(move |tap| {
                let phase = plan.source_phases[tap.phase];
                let at = |axis: usize| {
                    let at = position[axis] as isize + tap.offset[axis];
                    let at = at * plan.source_step[axis] as isize + phase[axis] as isize;
                    usize::try_from(at)
                        .ok()
                        .filter(|&at| at < plan.source[axis])
                };
                match (at(0), at(1), at(2)) {
                    (Some(d), Some(h), Some(w)) => (d * height + h) * width + w,
                    _ => depth * height * width,
                }
            })
        })
        .collect()
}

/// Some rows of the gradient.
struct Group<'a> {
    panels: &'a [f32],
    positions: usize,
    /// `[position, row]` of each block of rows; the values of rows that do not exist are 0.
    blocks: Vec<Vec<f32>>,
    columns: usize,
    out: &'a mut [f32],
}

impl WithSimd for Group<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        if S::REGISTER_COUNT >= 32 {
            self.tiles::<S, ROWS>(simd);
        } else {
            self.tiles::<S, 4>(simd);
        }
    }
}

impl Group<'_> {
    #[inline(always)]
    fn tiles<S: Simd, const WIDTH: usize>(self, simd: S) {
        let width = 3 * S::F32_LANES;
        let mut sums = [0f32; ROWS * POSITIONS];
        let panels = self.panels.chunks_exact(self.positions * PANEL);
        for (panel, first) in panels.zip((0..).step_by(PANEL)) {
            for at in (0..PANEL.min(self.columns - first)).step_by(width) {
                let column = first + at;
                let length = width.min(self.columns - column);
                let rows = self.out.chunks_exact_mut(self.columns);
                let mut rows = rows.map(|row| &mut row[column..][..length]);
                for block in &self.blocks {
                    simd.vectorize(Tile::<WIDTH, 3> {
                        slab: &panel[at..],
                        channel_stride: PANEL,
                        starts: &[0],
                        weights: block.as_chunks().0,
                        out: &mut sums,
                    });
                    let sums = sums.chunks_exact(width).take(WIDTH);
                    for (row, sums) in rows.by_ref().take(WIDTH).zip(sums) {
                        row.copy_from_slice(&sums[..length]);
                    }
                }
            }
        }
    }
}
