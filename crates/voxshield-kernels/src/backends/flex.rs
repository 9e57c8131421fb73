use std::{mem::swap, sync::Arc};

use burn::backend::{Flex, TensorMetadata, tensor::FloatTensor};
use burn::tensor::Shape;
use pulp::{Arch, NullaryFnOnce};
use rayon::prelude::*;
use rustfft::{Fft, FftPlanner, num_complex::Complex32, num_traits::Zero};

use super::{
    lanes::{sums, tensor},
    row_pairs::{Join, Pack, Split, Unpack},
};
use crate::ops::{DISTANCE_EPSILON, SpectralOps, column_weight};

/// Slices that one task transforms. Each task repeats one or two of its neighbours' slices, so there are
/// only as many as the threads need; no result depends on it.
fn chunk(depth: usize) -> usize {
    depth.div_ceil(2 * rayon::current_num_threads()).max(8)
}

impl SpectralOps for Flex {
    fn slice_distances(x: FloatTensor<Self>) -> FloatTensor<Self> {
        let x = x.to_contiguous();
        let shape = x.shape();
        let depth = shape[2];
        let plan = Plan::new(shape[3], shape[4]);
        let chunk = chunk(depth);
        let data: &[f32] = x.storage();
        let mut distances = vec![0f32; shape[0] * shape[1] * (depth - 1)];
        distances
            .par_chunks_mut(depth - 1)
            .zip(data.par_chunks(depth * plan.slice()))
            .flat_map(|(out, volume)| {
                out.par_chunks_mut(chunk)
                    .enumerate()
                    .map(move |c| (c, volume))
            })
            .for_each(|((index, out), volume)| plan.distances(volume, index * chunk, out));
        tensor(distances, Shape::from(vec![shape[0], shape[1], depth - 1]))
    }

    fn slice_distances_backward(
        x: FloatTensor<Self>,
        distances: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let (x, distances, gradient) = (
            x.to_contiguous(),
            distances.to_contiguous(),
            gradient.to_contiguous(),
        );
        let shape = x.shape();
        let depth = shape[2];
        let plan = Plan::new(shape[3], shape[4]);
        let chunk = chunk(depth);
        let data: &[f32] = x.storage();
        let scale: Vec<f32> = gradient
            .storage::<f32>()
            .iter()
            .zip(distances.storage::<f32>())
            .map(|(g, d)| g / d)
            .collect();
        let mut out = vec![0f32; data.len()];
        out.par_chunks_mut(depth * plan.slice())
            .zip(data.par_chunks(depth * plan.slice()))
            .zip(scale.par_chunks(depth - 1))
            .flat_map(|((out, volume), scale)| {
                out.par_chunks_mut(chunk * plan.slice())
                    .enumerate()
                    .map(move |c| (c, volume, scale))
            })
            .for_each(|((index, out), volume, scale)| {
                plan.gradient(volume, scale, index * chunk, out);
            });
        tensor(out, shape)
    }
}

/// FFTs of one slice size; the half spectrum is stored transposed, `[half width, height]`.
struct Plan {
    arch: Arch,
    height: usize,
    width: usize,
    row_forward: Arc<dyn Fft<f32>>,
    row_inverse: Arc<dyn Fft<f32>>,
    column_forward: Arc<dyn Fft<f32>>,
    column_inverse: Arc<dyn Fft<f32>>,
}

/// Buffers of one task.
struct Scratch {
    /// Two rows in one, `[pair, width]`.
    rows: Vec<Complex32>,
    fft: Vec<Complex32>,
}

/// One slice's half spectrum and its amplitudes, both `[half width, height]`.
struct Spectrum {
    values: Vec<Complex32>,
    amplitudes: Vec<f32>,
}

impl Plan {
    fn new(height: usize, width: usize) -> Self {
        let mut planner = FftPlanner::<f32>::new();
        Self {
            arch: Arch::new(),
            height,
            width,
            row_forward: planner.plan_fft_forward(width),
            row_inverse: planner.plan_fft_inverse(width),
            column_forward: planner.plan_fft_forward(height),
            column_inverse: planner.plan_fft_inverse(height),
        }
    }

    fn slice(&self) -> usize {
        self.height * self.width
    }

    fn scratch(&self) -> Scratch {
        let fft = self
            .row_forward
            .get_inplace_scratch_len()
            .max(self.row_inverse.get_inplace_scratch_len())
            .max(self.column_forward.get_inplace_scratch_len())
            .max(self.column_inverse.get_inplace_scratch_len());
        Scratch {
            rows: vec![Complex32::zero(); self.height.div_ceil(2) * self.width],
            fft: vec![Complex32::zero(); fft],
        }
    }

    fn empty(&self) -> Spectrum {
        let half = self.width / 2 + 1;
        Spectrum {
            values: vec![Complex32::zero(); self.height * half],
            amplitudes: vec![0.0; self.height * half],
        }
    }

    fn transform(&self, slice: &[f32], out: &mut Spectrum, scratch: &mut Scratch) {
        let (height, width) = (self.height, self.width);
        let Scratch { rows, fft } = scratch;
        self.arch.dispatch(Pack { slice, rows, width });
        self.row_forward.process_with_scratch(rows, fft);
        let Spectrum { values, amplitudes } = out;
        self.arch.dispatch(Split {
            rows,
            columns: values,
            height,
            width,
        });
        self.column_forward.process_with_scratch(values, fft);
        self.arch.dispatch(Amplitudes { values, amplitudes });
    }

    /// The adjoint of `transform` under the half spectrum's weights. Overwrites `values`.
    fn adjoint(&self, values: &mut [Complex32], out: &mut [f32], scratch: &mut Scratch) {
        let (height, width) = (self.height, self.width);
        let Scratch { rows, fft } = scratch;
        self.column_inverse.process_with_scratch(values, fft);
        self.arch.dispatch(Join {
            columns: values,
            rows,
            height,
            width,
        });
        self.row_inverse.process_with_scratch(rows, fft);
        self.arch.dispatch(Unpack {
            rows,
            slice: out,
            width,
        });
    }

    /// Distances `first .. first + out.len()` of one `[depth, height, width]` volume.
    fn distances(&self, volume: &[f32], first: usize, out: &mut [f32]) {
        let mut scratch = self.scratch();
        let slice = |z: usize| &volume[z * self.slice()..(z + 1) * self.slice()];
        let [mut current, mut next] = [self.empty(), self.empty()];
        self.transform(slice(first), &mut current, &mut scratch);
        for (offset, out) in out.iter_mut().enumerate() {
            self.transform(slice(first + offset + 1), &mut next, &mut scratch);
            *out = self.distance(&current.amplitudes, &next.amplitudes);
            swap(&mut current, &mut next);
        }
    }

    fn distance(&self, a: &[f32], b: &[f32]) -> f32 {
        let (height, width) = (self.height, self.width);
        let sum = self.arch.dispatch(Squares {
            a,
            b,
            height,
            width,
        });
        (sum + DISTANCE_EPSILON).sqrt() as f32
    }

    /// Gradient of the slices from `first` on, as many as `out` holds; `scale[z]` is the incoming
    /// gradient of distance z divided by that distance.
    fn gradient(&self, volume: &[f32], scale: &[f32], first: usize, out: &mut [f32]) {
        let mut scratch = self.scratch();
        let depth = scale.len() + 1;
        let slice = |z: usize| &volume[z * self.slice()..(z + 1) * self.slice()];
        let [mut previous, mut current, mut next] = [self.empty(), self.empty(), self.empty()];
        if first > 0 {
            self.transform(slice(first - 1), &mut previous, &mut scratch);
        }
        self.transform(slice(first), &mut current, &mut scratch);
        for (z, out) in (first..).zip(out.chunks_exact_mut(self.slice())) {
            let Spectrum { values, amplitudes } = &mut current;
            let amplitudes = amplitudes.as_slice();
            // A slice without a neighbour stands in for it: no distance, no pull.
            let below = if z > 0 {
                (scale[z - 1], previous.amplitudes.as_slice())
            } else {
                (0.0, amplitudes)
            };
            let above = if z + 1 < depth {
                self.transform(slice(z + 1), &mut next, &mut scratch);
                (scale[z], next.amplitudes.as_slice())
            } else {
                (0.0, amplitudes)
            };
            self.arch.dispatch(Pull {
                values,
                amplitudes,
                below,
                above,
            });
            self.adjoint(values, out, &mut scratch);
            swap(&mut previous, &mut current);
            swap(&mut current, &mut next);
        }
    }
}

// See `lanes` for why these are types.
struct Amplitudes<'a> {
    values: &'a [Complex32],
    amplitudes: &'a mut [f32],
}

impl NullaryFnOnce for Amplitudes<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        for (amplitude, v) in self.amplitudes.iter_mut().zip(self.values) {
            *amplitude = v.norm_sqr().sqrt();
        }
    }
}

/// The squared distance of two half spectra of `[half width, height]`, given their amplitudes.
struct Squares<'a> {
    a: &'a [f32],
    b: &'a [f32],
    height: usize,
    width: usize,
}

impl NullaryFnOnce for Squares<'_> {
    type Output = f64;

    #[inline(always)]
    fn call(self) -> f64 {
        let columns = self.a.chunks_exact(self.height);
        let columns = columns.zip(self.b.chunks_exact(self.height));
        let mut total = 0.0;
        for (column, (a, b)) in columns.enumerate() {
            let [sum] = sums(a, b, |a, b| [(b - a) * (b - a)]);
            total += f64::from(column_weight(self.width, column)) * sum;
        }
        total
    }
}

/// Replaces a slice's spectrum by the gradient of the distances to its two neighbours, each given
/// by its distance's scale and its amplitudes.
struct Pull<'a> {
    values: &'a mut [Complex32],
    amplitudes: &'a [f32],
    below: (f32, &'a [f32]),
    above: (f32, &'a [f32]),
}

impl NullaryFnOnce for Pull<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let ((below_scale, below), (above_scale, above)) = (self.below, self.above);
        let slices = self.values.iter_mut().zip(self.amplitudes);
        for ((value, &amplitude), (below, above)) in slices.zip(below.iter().zip(above)) {
            let pull = below_scale * (amplitude - below) - above_scale * (above - amplitude);
            let ratio = if amplitude > 0.0 {
                pull / amplitude
            } else {
                0.0
            };
            *value *= ratio;
        }
    }
}
