//! Convolution and its adjoint: `y[row, n] = sum_{channel, tap} w[row, channel, tap] x[channel, n + offset(tap)]`.
//!
//! A tile of some output channels (rows) times some vectors of positions stays in registers while
//! all channels and taps are added to it, so every value that is loaded is used for several
//! multiply-adds. The order of the sum of an element depends on nothing but the weight's shape:
//! any number of threads gives the same bits.

use std::borrow::Cow;

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::plan::{Plan, Stencil};

/// Every tile's width divides it: six vectors of 16, of 8 or of 4.
const POSITIONS: usize = 96;
/// Rows of the largest tile.
const ROWS: usize = 8;
/// Floats of a slab: it stays in the second-level cache while all rows read it.
const SLAB: usize = 1 << 18;

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

/// One slab of one sample for some row blocks.
struct Task<'a> {
    sample: usize,
    first_plane: usize,
    blocks: &'a [RowBlock],
    bias: Option<&'a [f32]>,
    /// The part of each row's output volume that the slab covers.
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
    let sample_floats = channels * plan.source.iter().product::<usize>();
    let samples = source.len() / sample_floats;
    let volume: usize = plan.target.iter().product();
    let mut out = vec![0.0; samples * rows * volume];

    let depth = plan.grid[0];
    let plane = channels * plan.source_phases.len() * plan.plane();
    let slabs = depth.div_ceil((SLAB / plane).clamp(1, depth));
    let planes = depth.div_ceil(slabs);
    let slabs = depth.div_ceil(planes);
    // Where there are few slabs, threads share them and divide the rows.
    let groups = (4 * rayon::current_num_threads()).div_ceil(samples * slabs);
    let per_group = blocks.len().div_ceil(groups);
    let groups = blocks.len().div_ceil(per_group);

    let first_row = |group: usize| -> usize {
        blocks[..(group * per_group).min(blocks.len())]
            .iter()
            .map(|block| block.rows)
            .sum()
    };
    let mut tasks: Vec<Task> = Vec::with_capacity(samples * groups * slabs);
    for sample in 0..samples {
        for (group, blocks) in blocks.chunks(per_group).enumerate() {
            let (from, to) = (first_row(group), first_row(group + 1));
            tasks.extend((0..slabs).map(|slab| Task {
                sample,
                first_plane: slab * planes,
                blocks,
                bias: bias.map(|bias| &bias[from..to]),
                out: Vec::with_capacity(to - from),
            }));
        }
    }
    let group_of_row: Vec<usize> = blocks
        .iter()
        .enumerate()
        .flat_map(|(i, block)| std::iter::repeat_n(i / per_group, block.rows))
        .collect();
    let slab_floats = planes * plan.target_step[0] * plan.target[1] * plan.target[2];
    for (i, channel) in out.chunks_exact_mut(volume).enumerate() {
        let first = (i / rows * groups + group_of_row[i % rows]) * slabs;
        for (task, part) in tasks[first..]
            .iter_mut()
            .zip(channel.chunks_mut(slab_floats))
        {
            task.out.push(part);
        }
    }

    tasks.into_par_iter().for_each(|task| {
        let planes = planes.min(depth - task.first_plane);
        let positions = plan.positions(planes);
        let padded = positions.next_multiple_of(POSITIONS);
        let sample = &source[task.sample * sample_floats..][..sample_floats];
        let stencils = plan.stencils.iter();
        let first = task.first_plane * plan.plane();
        // Voxels that are read as they lie need no copy, but for the last of them: a tile may
        // reach over the end.
        let run = if plan.is_pointwise() && first + padded <= volume {
            Run {
                plan,
                planes,
                slab: Cow::Borrowed(sample),
                channel_stride: volume,
                starts: vec![vec![first]],
                task,
            }
        } else {
            Run {
                plan,
                planes,
                slab: Cow::Owned(plan.slab(sample, [task.first_plane, planes], padded)),
                channel_stride: plan.source_phases.len() * plan.channel_stride(padded),
                starts: stencils
                    .map(|stencil| plan.starts(stencil, padded))
                    .collect(),
                task,
            }
        };
        arch.dispatch(run);
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

/// Rows of the largest tile that the registers of this machine hold.
struct WidestTile;

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
        for at in (0..self.plan.positions(self.planes)).step_by(width) {
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
                let sums = sums.chunks_exact(width).take(block.rows);
                self.write(stencil, at, first_row, sums);
            }
        }
    }

    /// Writes the positions `at ..` of some rows' sums to where they belong in the target.
    #[inline(always)]
    fn write<'s>(
        &mut self,
        stencil: usize,
        at: usize,
        first_row: usize,
        sums: impl ExactSizeIterator<Item = &'s [f32]>,
    ) {
        let plan = self.plan;
        let [step_d, step_h, step_w] = plan.target_step;
        let [_, target_h, target_w] = plan.target;
        let [phase_d, phase_h, phase_w] = plan.stencils[stencil].phase;
        let columns = (target_w - phase_w).div_ceil(step_w);
        for (row, sums) in (first_row..).zip(sums) {
            let bias = self.task.bias.map_or(0.0, |bias| bias[row]);
            let out = &mut *self.task.out[row];
            let mut done = 0;
            while done < sums.len() {
                let [d, h, w] = plan.position(at + done);
                let in_row = (plan.columns() - w).min(sums.len() - done);
                let (y, z) = (h * step_h + phase_h, d * step_d + phase_d);
                let start = (z * target_h + y) * target_w + w * step_w + phase_w;
                // The grid is that of the largest phase, and it ends in zeros.
                if w < columns && y < target_h && start < out.len() {
                    let sums = &sums[done..][..in_row.min(columns - w)];
                    let out = &mut out[start..];
                    if step_w == 1 {
                        out.iter_mut().zip(sums).for_each(|(o, s)| *o = s + bias);
                    } else {
                        let out = out.iter_mut().step_by(step_w);
                        out.zip(sums).for_each(|(o, s)| *o = s + bias);
                    }
                }
                done += in_row;
            }
        }
    }
}

/// The sums of `ROWS` rows at `VECTORS` vectors of positions, row by row.
struct Tile<'a, const ROWS: usize, const VECTORS: usize> {
    /// A slab from the tile's first position on.
    slab: &'a [f32],
    channel_stride: usize,
    starts: &'a [usize],
    /// `[channel, tap]`.
    weights: &'a [[f32; ROWS]],
    out: &'a mut [f32],
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
