//! Where the taps of a convolution lie in padded rows.
//!
//! A convolution with stride `s` reads its input in `s` **phases** per axis, `x[s j + phase]`; on a
//! phase every tap is a constant offset. Rows of a phase stand one after the other with so many
//! zeros between them that an offset over the end of a row reads a zero, and planes likewise: a
//! tap is then one offset into one flat array, and neighbouring positions are neighbouring floats.
//! The adjoint reads one phase and writes `s` of them.

use super::parts::Part;
use crate::ops::ConvGeometry;

/// One tap of a [`Stencil`].
#[derive(Debug, Clone)]
pub(super) struct Tap {
    /// Index into the kernel's `[depth, height, width]`, flat.
    pub(super) kernel: usize,
    /// Index into [`Plan::source_phases`].
    pub(super) phase: usize,
    /// `[depth, height, width]`, in positions.
    pub(super) offset: [isize; 3],
}

/// The taps that one phase of the target reads.
#[derive(Debug, Clone)]
pub(super) struct Stencil {
    pub(super) phase: [usize; 3],
    pub(super) taps: Vec<Tap>,
}

/// Source, target and taps of a convolution or of its adjoint.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) source: [usize; 3],
    pub(super) source_step: [usize; 3],
    pub(super) source_phases: Vec<[usize; 3]>,
    pub(super) target: [usize; 3],
    pub(super) target_step: [usize; 3],
    pub(super) stencils: Vec<Stencil>,
    /// Positions per axis: sizes of the target, or of its largest phase.
    pub(super) grid: [usize; 3],
    /// The most negative offset per axis, 0 if there is none, and the largest.
    low: [isize; 3],
    high: [isize; 3],
    /// Positions per axis of a part, planes and rows; the last part of an axis may have fewer.
    pub(super) part: [usize; 2],
    /// Rows from one plane to the next.
    rows: usize,
    /// Floats from one row to the next.
    columns: usize,
}

/// A tap along one axis: kernel index, phase of the source, offset.
type AxisTap = (usize, usize, isize);

impl Plan {
    /// From `source` to `target`, the sizes of the convolution's output.
    pub(super) fn convolution(
        source: [usize; 3],
        kernel: [usize; 3],
        target: [usize; 3],
        geometry: ConvGeometry,
    ) -> Self {
        let axes: [Vec<AxisTap>; 3] = std::array::from_fn(|axis| {
            let stride = geometry.stride[axis] as isize;
            let tap = |k: usize| {
                let at = (k * geometry.dilation[axis]) as isize - geometry.padding[axis] as isize;
                (k, at.rem_euclid(stride) as usize, at.div_euclid(stride))
            };
            (0..kernel[axis]).map(tap).collect()
        });
        let mut source_phases = Vec::new();
        let stencil = stencil([0; 3], &axes, kernel, &mut source_phases);
        Self::new(
            [source, target],
            [geometry.stride, [1; 3]],
            source_phases,
            vec![stencil],
        )
    }

    /// From `source`, sizes like those of the convolution's output, to `target`, the sizes of its
    /// input.
    pub(super) fn adjoint(
        source: [usize; 3],
        kernel: [usize; 3],
        target: [usize; 3],
        geometry: ConvGeometry,
    ) -> Self {
        let [d, h, w] = geometry.stride;
        let phases = (0..d * h * w).map(|i| [i / (h * w), i / w % h, i % w]);
        let mut source_phases = Vec::new();
        let stencils = phases
            .filter(|phase| (0..3).all(|axis| phase[axis] < target[axis]))
            .map(|phase| {
                let axes: [Vec<AxisTap>; 3] = std::array::from_fn(|axis| {
                    let stride = geometry.stride[axis] as isize;
                    let tap = |k: usize| {
                        let at = (phase[axis] + geometry.padding[axis]) as isize
                            - (k * geometry.dilation[axis]) as isize;
                        (at % stride == 0).then_some((k, 0, at / stride))
                    };
                    // From the last tap on, so that offsets ascend as memory does.
                    (0..kernel[axis]).rev().filter_map(tap).collect()
                });
                stencil(phase, &axes, kernel, &mut source_phases)
            })
            .collect();
        Self::new(
            [source, target],
            [[1; 3], geometry.stride],
            source_phases,
            stencils,
        )
    }

    fn new(
        [source, target]: [[usize; 3]; 2],
        [source_step, target_step]: [[usize; 3]; 2],
        mut source_phases: Vec<[usize; 3]>,
        stencils: Vec<Stencil>,
    ) -> Self {
        if source_phases.is_empty() {
            // No tap reaches the source; the layout of slabs still wants a phase.
            source_phases.push([0; 3]);
        }
        let grid: [usize; 3] = std::array::from_fn(|axis| target[axis].div_ceil(target_step[axis]));
        let offsets = |axis: usize| {
            let taps = stencils.iter().flat_map(|s| &s.taps);
            taps.map(move |tap| tap.offset[axis])
        };
        let low = std::array::from_fn(|axis| offsets(axis).fold(0, isize::min));
        let high = std::array::from_fn(|axis| offsets(axis).fold(0, isize::max));
        let mut plan = Self {
            source,
            source_step,
            source_phases,
            target,
            target_step,
            grid,
            part: [grid[0], grid[1]],
            rows: 0,
            columns: 0,
            stencils,
            low,
            high,
        };
        [plan.rows, plan.columns] = [1, 2].map(|axis| plan.pitch(axis));
        plan
    }

    /// Makes parts of `[planes, rows]`; a part of all rows shares the zeros between its planes.
    pub(super) fn set_part(&mut self, part: [usize; 2]) {
        self.part = part;
        self.rows = if part[1] == self.grid[1] {
            self.pitch(1)
        } else {
            part[1] + self.halo()[1]
        };
    }

    /// Planes and rows that taps reach around a part.
    pub(super) fn halo(&self) -> [usize; 2] {
        [0, 1].map(|axis| self.high[axis] as usize + self.low[axis].unsigned_abs())
    }

    /// From one row, or one column, to the next where the whole axis is one part.
    fn pitch(&self, axis: usize) -> usize {
        // What is read beyond a row's last position must not be the next row's values, and
        // what is read before its first must not be the previous row's.
        let reach = self.grid[axis] + self.high[axis] as usize;
        let filled = self.source[axis].div_ceil(self.source_step[axis]);
        reach.max(filled.min(reach) + self.low[axis].unsigned_abs())
    }

    /// Whether the target's positions are the source's and the only tap reads its own position, as
    /// in a convolution with a kernel of one voxel.
    pub(super) fn is_pointwise(&self) -> bool {
        let own = |s: &Stencil| s.taps.len() == 1 && s.taps[0].offset == [0; 3];
        self.source == self.target
            && self.source_step == [1; 3]
            && self.target_step == [1; 3]
            && self.stencils.iter().all(own)
    }

    /// The flat index of a position, relative to the slab's first.
    pub(super) fn flat(&self, position: [isize; 3]) -> isize {
        let [d, h, w] = position;
        (d * self.rows as isize + h) * self.columns as isize + w
    }

    /// Plane, row and column of a flat position; row and column may lie in the zeros.
    pub(super) fn position(&self, flat: usize) -> [usize; 3] {
        let row = flat / self.columns;
        [row / self.rows, row % self.rows, flat % self.columns]
    }

    /// Floats from one row's start to the next.
    pub(super) fn columns(&self) -> usize {
        self.columns
    }

    /// Positions from one plane to the next.
    pub(super) fn plane(&self) -> usize {
        self.rows * self.columns
    }

    /// Zeros before the first position of a slab: what the lowest offset needs.
    fn lead(&self) -> usize {
        (-self.flat(self.low)) as usize
    }

    /// Floats of one channel and phase of a slab whose positions are rounded up to `positions`.
    pub(super) fn channel_stride(&self, positions: usize) -> usize {
        self.lead() + positions + self.flat(self.high) as usize
    }

    /// Copies a part of one channel's phase, and what taps reach around it, into `out`, zeros on
    /// arrival.
    fn pack(&self, channel: &[f32], phase: usize, part: Part, out: &mut [f32]) {
        let [source_d, source_h, source_w] = self.source;
        let [step_d, step_h, step_w] = self.source_step;
        let [phase_d, phase_h, phase_w] = self.source_phases[phase];
        let lead = self.lead() as isize;
        let width = source_w
            .saturating_sub(phase_w)
            .div_ceil(step_w)
            .min(self.grid[2] + self.high[2] as usize);
        if width == 0 {
            return;
        }
        let reached = |axis: usize| self.low[axis]..part.size[axis] as isize + self.high[axis];
        // The source's index of a plane or row of the part; none before the source's first.
        let index = |axis: usize, at: isize| usize::try_from(part.first[axis] as isize + at).ok();
        for plane in reached(0) {
            let Some(j) = index(0, plane) else { continue };
            let d = j * step_d + phase_d;
            if d >= source_d {
                break;
            }
            for row in reached(1) {
                let Some(j) = index(1, row) else { continue };
                let h = j * step_h + phase_h;
                if h >= source_h {
                    break;
                }
                let from = (d * source_h + h) * source_w + phase_w;
                let at = lead + self.flat([plane, row, 0]);
                let out = &mut out[at as usize..][..width];
                match step_w {
                    1 => out.copy_from_slice(&channel[from..][..width]),
                    2 => {
                        let end = (from + 2 * width).min(channel.len());
                        let pairs = channel[from..end].chunks(2);
                        out.iter_mut().zip(pairs).for_each(|(o, pair)| *o = pair[0]);
                    }
                    _ => {
                        let values = channel[from..].iter().step_by(step_w);
                        out.iter_mut()
                            .zip(values)
                            .for_each(|(o, &value)| *o = value);
                    }
                }
            }
        }
    }

    /// A part of all `channels` (whole volumes, one after the other) and phases, each
    /// [`Plan::channel_stride`] long, phases within channels.
    pub(super) fn slab(&self, channels: &[f32], part: Part, positions: usize) -> Vec<f32> {
        let phases = self.source_phases.len();
        let stride = self.channel_stride(positions);
        let volume = self.source.iter().product();
        let mut slab = vec![0.0; channels.len() / volume * phases * stride];
        for (channel, out) in channels
            .chunks_exact(volume)
            .zip(slab.chunks_exact_mut(phases * stride))
        {
            for (phase, out) in out.chunks_exact_mut(stride).enumerate() {
                self.pack(channel, phase, part, out);
            }
        }
        slab
    }

    /// Where a stencil's taps begin to read in a slab, for position 0 of channel 0.
    pub(super) fn starts(&self, stencil: &Stencil, positions: usize) -> Vec<usize> {
        let stride = self.channel_stride(positions);
        let start = |tap: &Tap| {
            let at = (self.lead() + tap.phase * stride) as isize + self.flat(tap.offset);
            at as usize
        };
        stencil.taps.iter().map(start).collect()
    }
}

fn stencil(
    phase: [usize; 3],
    [depth, height, width]: &[Vec<AxisTap>; 3],
    kernel: [usize; 3],
    source_phases: &mut Vec<[usize; 3]>,
) -> Stencil {
    let mut taps = Vec::with_capacity(depth.len() * height.len() * width.len());
    for &(kd, pd, od) in depth {
        for &(kh, ph, oh) in height {
            for &(kw, pw, ow) in width {
                let source = [pd, ph, pw];
                let known = source_phases.iter().position(|&p| p == source);
                let phase = known.unwrap_or_else(|| {
                    source_phases.push(source);
                    source_phases.len() - 1
                });
                taps.push(Tap {
                    kernel: (kd * kernel[1] + kh) * kernel[2] + kw,
                    phase,
                    offset: [od, oh, ow],
                });
            }
        }
    }
    Stencil { phase, taps }
}
