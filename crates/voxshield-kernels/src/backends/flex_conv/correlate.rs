//! Convolution and its adjoint: `y[row, n] = sum_{channel, tap} w[row, channel, tap] x[channel, n + offset(tap)]`.
//!
//! A tile of some output channels (rows) times some vectors of positions stays in registers while
//! all channels and taps are added to it, so every value that is loaded is used for several
//! multiply-adds. The order of the sum of an element depends on nothing but the weight's shape:
//! any number of threads gives the same bits.

use std::borrow::Cow;

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::parts::{Load, Part, Runs};
use super::plan::{Plan, Stencil};

/// Every tile's width divides it: six vectors of 16, of 8 or of 4.
pub(super) const POSITIONS: usize = 96;
/// Rows of the largest tile.
pub(super) const ROWS: usize = 8;

/// A weight seen as `[row, channel, tap]`, taps adjacent.
#[derive(Clone, Copy)]
pub(super) struct Weights<'a> {
    pub(super) values: &'a [f32],
    pub(super) row_stride: usize,
    pub(super) channel_stride: usize,
}

/// Neighbouring rows that are computed together, and their weights `[channel, tap, row]` for each
/// stencil of the plan.
struct RowBlock {
    rows: usize,
    /// Rows of the tile; the weights of those that do not exist are 0.
    width: usize,
    weights: Vec<Vec<f32>>,
}

/// One part of one sample for some row blocks.
struct Task<'a> {
    sample: usize,
    part: Part,
    blocks: &'a [RowBlock],
    bias: Option<&'a [f32]>,
    /// What the part covers of the output: for each row, for each plane of the target, some lines.
    out: Vec<&'a mut [f32]>,
}

/// `[batch, channel, ..source]` to `[batch, row, ..target]`, with the instructions of `arch`.
pub(super) fn correlate(
    arch: Arch,
    plan: &Plan,
    source: &[f32],
    [channels, rows]: [usize; 2],
    weights: Weights,
    bias: Option<&[f32]>,
) -> Vec<f32> {
    let blocks = row_blocks(arch, plan, [channels, rows], weights);
    let taps: usize = plan.stencils.iter().map(|s| s.taps.len()).sum();
    let plan = &plan.clone().cut(&Load {
        volumes: channels * plan.source_phases.len(),
        unit: arch.dispatch(TileWidth),
        products: taps * channels * rows,
    });
    let sample_floats = channels * plan.source.iter().product::<usize>();
    let samples = source.len() / sample_floats;
    let volume: usize = plan.target.iter().product();
    let mut out = vec![0.0; samples * rows * volume];

    let [_, across] = plan.parts();
    let parts: usize = plan.parts().iter().product();
    // Where there are few parts, threads share them and divide the rows.
    let groups = (4 * rayon::current_num_threads()).div_ceil(samples * parts);
    let per_group = blocks.len().div_ceil(groups);
    let groups = blocks.len().div_ceil(per_group);

    let first_row = |group: usize| -> usize {
        blocks[..(group * per_group).min(blocks.len())]
            .iter()
            .map(|block| block.rows)
            .sum()
    };
    let mut tasks: Vec<Task> = Vec::with_capacity(samples * groups * parts);
    for sample in 0..samples {
        for (group, blocks) in blocks.chunks(per_group).enumerate() {
            let (from, to) = (first_row(group), first_row(group + 1));
            tasks.extend((0..parts).map(|part| Task {
                sample,
                part: plan.part(part),
                blocks,
                bias: bias.map(|bias| &bias[from..to]),
                out: Vec::new(),
            }));
        }
    }
    let group_of_row: Vec<usize> = blocks
        .iter()
        .enumerate()
        .flat_map(|(i, block)| std::iter::repeat_n(i / per_group, block.rows))
        .collect();
    let [part_planes, part_rows] = [0, 1].map(|axis| plan.part[axis] * plan.target_step[axis]);
    let [_, target_h, target_w] = plan.target;
    for (i, channel) in out.chunks_exact_mut(volume).enumerate() {
        let first = (i / rows * groups + group_of_row[i % rows]) * parts;
        for (z, plane) in channel.chunks_exact_mut(target_h * target_w).enumerate() {
            let first = first + z / part_planes * across;
            let lines = plane.chunks_mut(part_rows * target_w);
            for (task, lines) in tasks[first..].iter_mut().zip(lines) {
                task.out.push(lines);
            }
        }
    }

    tasks.into_par_iter().for_each(|task| {
        let part = task.part;
        let runs = plan.runs(part, arch.dispatch(TileWidth));
        let padded = runs.end(POSITIONS);
        let sample = &source[task.sample * sample_floats..][..sample_floats];
        let first = (part.first[0] * plan.grid[1] + part.first[1]) * plan.grid[2];
        let rows = task.blocks.iter().map(|block| block.rows).sum::<usize>();
        // Voxels that are read as they lie need no copy, but for the last of them: a tile may
        // reach over the end.
        let as_they_lie = plan.is_pointwise() && plan.part[1] == plan.grid[1];
        let (slab, channel_stride, starts) = if as_they_lie && first + padded <= volume {
            (Cow::Borrowed(sample), volume, vec![vec![first]])
        } else {
            let stencils = plan.stencils.iter();
            (
                Cow::Owned(plan.slab(sample, part, padded)),
                plan.source_phases.len() * plan.channel_stride(padded),
                stencils.map(|s| plan.starts(s, padded)).collect(),
            )
        };
        arch.dispatch(Run {
            plan,
            runs,
            planes: task.out.len() / rows,
            slab,
            channel_stride,
            starts,
            task,
        });
    });
    out
}

fn row_blocks(
    arch: Arch,
    plan: &Plan,
    [channels, rows]: [usize; 2],
    weights: Weights,
) -> Vec<RowBlock> {
    let widest = arch.dispatch(WidestTile);
    let mut sizes = Vec::new();
    let mut left = rows;
    while left > 0 {
        let block = left.next_power_of_two().min(widest);
        sizes.push((rows - left, block, block.min(left)));
        left -= block.min(left);
    }
    sizes
        .into_par_iter()
        .map(|(first, width, rows)| RowBlock {
            rows,
            width,
            weights: plan
                .stencils
                .iter()
                .map(|stencil| block_weights(stencil, channels, [first, width, rows], weights))
                .collect(),
        })
        .collect()
}

/// `[channel, tap, width]` of one block, 0 from `rows` on.
fn block_weights(
    stencil: &Stencil,
    channels: usize,
    [first, width, rows]: [usize; 3],
    weights: Weights,
) -> Vec<f32> {
    let taps = stencil.taps.len();
    let mut out = vec![0.0; channels * taps * width];
    for channel in 0..channels {
        let out = &mut out[channel * taps * width..][..taps * width];
        for row in 0..rows {
            let from = (first + row) * weights.row_stride + channel * weights.channel_stride;
            let kernel = &weights.values[from..];
            for (tap, out) in stencil.taps.iter().zip(out.chunks_exact_mut(width)) {
                out[row] = kernel[tap.kernel];
            }
        }
    }
    out
}

/// A task with its slab.
struct Run<'a> {
    plan: &'a Plan,
    runs: Runs,
    /// Planes of the target in the part.
    planes: usize,
    slab: Cow<'a, [f32]>,
    channel_stride: usize,
    /// For each stencil, where its taps begin in a channel.
    starts: Vec<Vec<usize>>,
    task: Task<'a>,
}

impl WithSimd for Run<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let mut row = 0;
        for block in self.task.blocks {
            // Sums, one row of positions and one weight have to fit into the registers.
            match (block.width, S::REGISTER_COUNT >= 32) {
                (8, _) => self.block::<S, 8, 3>(simd, block, row),
                (4, true) => self.block::<S, 4, 6>(simd, block, row),
                (4, false) => self.block::<S, 4, 3>(simd, block, row),
                (2, true) => self.block::<S, 2, 6>(simd, block, row),
                (2, false) => self.block::<S, 2, 3>(simd, block, row),
                _ => self.block::<S, 1, 6>(simd, block, row),
            }
            row += block.rows;
        }
    }
}

/// Positions of the largest tile.
struct TileWidth;

impl WithSimd for TileWidth {
    type Output = usize;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> usize {
        3 * S::F32_LANES
    }
}

/// Rows of the largest tile that the registers of this machine hold.
pub(super) struct WidestTile;

impl WithSimd for WidestTile {
    type Output = usize;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> usize {
        if S::REGISTER_COUNT >= 32 { ROWS } else { 4 }
    }
}

impl Run<'_> {
    #[inline(always)]
    fn block<S: Simd, const WIDTH: usize, const VECTORS: usize>(
        &mut self,
        simd: S,
        block: &RowBlock,
        first_row: usize,
    ) {
        let width = VECTORS * S::F32_LANES;
        let mut sums = [0f32; ROWS * POSITIONS];
        let Runs {
            count,
            stride,
            length,
        } = self.runs;
        let tiles = (0..count).flat_map(|run| {
            let tiles = (0..length).step_by(width);
            tiles.map(move |at| run * stride + at)
        });
        for at in tiles {
            for (stencil, weights) in block.weights.iter().enumerate() {
                if weights.is_empty() && self.task.bias.is_none() {
                    // No tap writes here, and the output is born as zeros.
                    continue;
                }
                simd.vectorize(Tile::<WIDTH, VECTORS> {
                    slab: &self.slab[at..],
                    channel_stride: self.channel_stride,
                    starts: &self.starts[stencil],
                    weights: weights.as_chunks().0,
                    out: &mut sums,
                });
                let sums = &sums[..block.rows * width];
                self.write(stencil, at, first_row, sums.chunks_exact(width));
            }
        }
    }

    /// Writes the positions `at ..` of some rows' sums to where they belong in the target.
    #[inline(always)]
    fn write(
        &mut self,
        stencil: usize,
        at: usize,
        first_row: usize,
        sums: std::slice::ChunksExact<f32>,
    ) {
        let plan = self.plan;
        let [step_d, step_h, step_w] = plan.target_step;
        let [_, _, target_w] = plan.target;
        let [phase_d, phase_h, phase_w] = plan.stencils[stencil].phase;
        let columns = (target_w - phase_w).div_ceil(step_w);
        let width = sums.clone().next().map_or(0, <[f32]>::len);
        let mut done = 0;
        while done < width {
            let [d, h, w] = plan.position(at + done);
            let in_row = (plan.columns() - w).min(width - done);
            let z = d * step_d + phase_d;
            let start = (h * step_h + phase_h) * target_w + w * step_w + phase_w;
            // Between rows and planes there are positions that belong to nothing, and the grid is
            // that of the largest phase.
            if w < columns && h < self.task.part.size[1] && z < self.planes {
                let length = in_row.min(columns - w);
                for (row, sums) in (first_row..).zip(sums.clone()) {
                    let bias = self.task.bias.map_or(0.0, |bias| bias[row]);
                    let out = &mut *self.task.out[row * self.planes + z];
                    let Some(out) = out.get_mut(start..) else {
                        break;
                    };
                    let sums = &sums[done..][..length];
                    if step_w == 1 {
                        out.iter_mut().zip(sums).for_each(|(o, s)| *o = s + bias);
                    } else {
                        let out = out.iter_mut().step_by(step_w);
                        out.zip(sums).for_each(|(o, s)| *o = s + bias);
                    }
                }
            }
            done += in_row;
        }
    }
}

/// The sums of `ROWS` rows at `VECTORS` vectors of positions, row by row.
pub(super) struct Tile<'a, const ROWS: usize, const VECTORS: usize> {
    /// A slab from the tile's first position on.
    pub(super) slab: &'a [f32],
    pub(super) channel_stride: usize,
    pub(super) starts: &'a [usize],
    /// `[channel, tap]`.
    pub(super) weights: &'a [[f32; ROWS]],
    pub(super) out: &'a mut [f32],
}

impl<const ROWS: usize, const VECTORS: usize> WithSimd for Tile<'_, ROWS, VECTORS> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let width = VECTORS * S::F32_LANES;
        let mut sums = [[simd.splat_f32s(0.0); VECTORS]; ROWS];
        let taps = self.starts.len();
        for (i, channel) in self.slab.chunks(self.channel_stride).enumerate() {
            let weights = &self.weights[i * taps..][..taps];
            for (&start, weights) in self.starts.iter().zip(weights) {
                let (x, _) = S::as_simd_f32s(&channel[start..][..width]);
                for row in 0..ROWS {
                    let weight = simd.splat_f32s(weights[row]);
                    for v in 0..VECTORS {
                        sums[row][v] = simd.mul_add_f32s(weight, x[v], sums[row][v]);
                    }
                }
            }
        }
        // Constant indices only: with any other the sums live in memory.
        let (out, _) = S::as_mut_simd_f32s(&mut self.out[..ROWS * width]);
        for row in 0..ROWS {
            for v in 0..VECTORS {
                out[row * VECTORS + v] = sums[row][v];
            }
        }
    }
}
