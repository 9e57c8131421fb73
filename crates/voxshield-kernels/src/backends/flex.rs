use std::sync::Arc;

use burn::backend::{Flex, TensorMetadata, tensor::FloatTensor};
use burn::tensor::{DType, Shape};
use pulp::Arch;
use rayon::prelude::*;
use realfft::{
    ComplexToReal, RealFftPlanner, RealToComplex, num_complex::Complex32, num_traits::Zero,
};

use rustfft::{Fft, FftPlanner};

use super::lanes::{sums, tensor};
use crate::ops::{DISTANCE_EPSILON, SpectralOps, column_weight, composition};

/// Slices that one task transforms; each task repeats one or two of its neighbours' slices.
const CHUNK: usize = 16;

impl SpectralOps for Flex {
    fn slice_distances(x: FloatTensor<Self>) -> FloatTensor<Self> {
        if x.dtype() != DType::F32 {
            return composition::slice_distances::<Self>(x);
        }
        let x = x.to_contiguous();
        let shape = x.shape();
        let depth = shape[2];
        let plan = Plan::new(shape[3], shape[4]);
        let data: &[f32] = x.storage();
        let mut distances = vec![0f32; shape[0] * shape[1] * (depth - 1)];
        distances
            .par_chunks_mut(depth - 1)
            .zip(data.par_chunks(depth * plan.slice()))
            .flat_map(|(out, volume)| {
                out.par_chunks_mut(CHUNK)
                    .enumerate()
                    .map(move |c| (c, volume))
            })
            .for_each(|((chunk, out), volume)| plan.distances(volume, chunk * CHUNK, out));
        tensor(distances, Shape::from(vec![shape[0], shape[1], depth - 1]))
    }

    fn slice_distances_backward(
        x: FloatTensor<Self>,
        distances: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        if x.dtype() != DType::F32 {
            return composition::slice_distances_backward::<Self>(x, distances, gradient);
        }
        let (x, distances, gradient) = (
            x.to_contiguous(),
            distances.to_contiguous(),
            gradient.to_contiguous(),
        );
        let shape = x.shape();
        let depth = shape[2];
        let plan = Plan::new(shape[3], shape[4]);
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
                out.par_chunks_mut(CHUNK * plan.slice())
                    .enumerate()
                    .map(move |c| (c, volume, scale))
            })
            .for_each(|((chunk, out), volume, scale)| {
                plan.gradient(volume, scale, chunk * CHUNK, out);
            });
        tensor(out, shape)
    }
}

/// FFTs of one slice size; the half spectrum is stored transposed, `[half width, height]`.
struct Plan {
    arch: Arch,
    height: usize,
    width: usize,
    half: usize,
    row_forward: Arc<dyn RealToComplex<f32>>,
    row_inverse: Arc<dyn ComplexToReal<f32>>,
    column_forward: Arc<dyn Fft<f32>>,
    column_inverse: Arc<dyn Fft<f32>>,
}

/// Buffers of one task.
struct Scratch {
    row: Vec<f32>,
    rows: Vec<Complex32>,
    fft: Vec<Complex32>,
}

/// One slice's half spectrum and its amplitudes, both `[half width, height]`.
struct SliceSpectrum {
    values: Vec<Complex32>,
    amplitudes: Vec<f32>,
}

impl Plan {
    fn new(height: usize, width: usize) -> Self {
        let mut real = RealFftPlanner::<f32>::new();
        let mut complex = FftPlanner::<f32>::new();
        Self {
            arch: Arch::new(),
            height,
            width,
            half: width / 2 + 1,
            row_forward: real.plan_fft_forward(width),
            row_inverse: real.plan_fft_inverse(width),
            column_forward: complex.plan_fft_forward(height),
            column_inverse: complex.plan_fft_inverse(height),
        }
    }

    fn slice(&self) -> usize {
        self.height * self.width
    }

    fn scratch(&self) -> Scratch {
        let fft = self
            .row_forward
            .get_scratch_len()
            .max(self.row_inverse.get_scratch_len())
            .max(self.column_forward.get_inplace_scratch_len())
            .max(self.column_inverse.get_inplace_scratch_len());
        Scratch {
            row: vec![0.0; self.width],
            rows: vec![Complex32::zero(); self.height * self.half],
            fft: vec![Complex32::zero(); fft],
        }
    }

    fn spectrum(&self, slice: &[f32], scratch: &mut Scratch) -> SliceSpectrum {
        for (row, out) in slice
            .chunks_exact(self.width)
            .zip(scratch.rows.chunks_exact_mut(self.half))
        {
            scratch.row.copy_from_slice(row);
            self.row_forward
                .process_with_scratch(&mut scratch.row, out, &mut scratch.fft)
                .expect("the buffers have the plan's lengths");
        }
        let mut values = vec![Complex32::zero(); self.height * self.half];
        transpose(&scratch.rows, &mut values, self.height, self.half);
        self.column_forward
            .process_with_scratch(&mut values, &mut scratch.fft);
        let mut amplitudes = vec![0.0; values.len()];
        self.arch.dispatch(|| {
            for (amplitude, v) in amplitudes.iter_mut().zip(&values) {
                *amplitude = v.norm_sqr().sqrt();
            }
        });
        SliceSpectrum { values, amplitudes }
    }

    /// The adjoint of `spectrum` under the half spectrum's weights, which the inverse real FFT
    /// applies by itself. Overwrites `values`.
    fn adjoint(&self, values: &mut [Complex32], out: &mut [f32], scratch: &mut Scratch) {
        self.column_inverse
            .process_with_scratch(values, &mut scratch.fft);
        transpose(values, &mut scratch.rows, self.half, self.height);
        for (row, out) in scratch
            .rows
            .chunks_exact_mut(self.half)
            .zip(out.chunks_exact_mut(self.width))
        {
            // Only the real part of the self-mirrored columns reaches the result; realfft refuses
            // anything else.
            row[0].im = 0.0;
            if self.width.is_multiple_of(2) {
                row[self.half - 1].im = 0.0;
            }
            self.row_inverse
                .process_with_scratch(row, out, &mut scratch.fft)
                .expect("the buffers have the plan's lengths");
        }
    }

    /// Distances `first .. first + out.len()` of one `[depth, height, width]` volume.
    fn distances(&self, volume: &[f32], first: usize, out: &mut [f32]) {
        let mut scratch = self.scratch();
        let slice = |z: usize| &volume[z * self.slice()..(z + 1) * self.slice()];
        let mut current = self.spectrum(slice(first), &mut scratch);
        for (offset, out) in out.iter_mut().enumerate() {
            let next = self.spectrum(slice(first + offset + 1), &mut scratch);
            *out = self.distance(&current.amplitudes, &next.amplitudes);
            current = next;
        }
    }

    fn distance(&self, a: &[f32], b: &[f32]) -> f32 {
        let columns = a.chunks_exact(self.height).zip(b.chunks_exact(self.height));
        let sum: f64 = self.arch.dispatch(|| {
            columns
                .enumerate()
                .map(|(column, (a, b))| {
                    let [sum] = sums(a, b, |a, b| [(b - a) * (b - a)]);
                    f64::from(column_weight(self.width, column)) * sum
                })
                .sum()
        });
        (sum + DISTANCE_EPSILON).sqrt() as f32
    }

    /// Gradient of the slices from `first` on, as many as `out` holds; `scale[z]` is the incoming
    /// gradient of distance z divided by that distance.
    fn gradient(&self, volume: &[f32], scale: &[f32], first: usize, out: &mut [f32]) {
        let mut scratch = self.scratch();
        let depth = scale.len() + 1;
        let slice = |z: usize| &volume[z * self.slice()..(z + 1) * self.slice()];
        let mut previous =
            (first > 0).then(|| self.spectrum(slice(first - 1), &mut scratch).amplitudes);
        let mut current = self.spectrum(slice(first), &mut scratch);
        for (offset, out) in out.chunks_exact_mut(self.slice()).enumerate() {
            let z = first + offset;
            let next = (z + 1 < depth).then(|| self.spectrum(slice(z + 1), &mut scratch));
            let SliceSpectrum {
                mut values,
                amplitudes,
            } = current;
            // A slice without a neighbour stands in for it: no distance, no pull.
            let below = previous
                .as_ref()
                .map_or((0.0, &amplitudes), |p| (scale[z - 1], p));
            let above = next
                .as_ref()
                .map_or((0.0, &amplitudes), |n| (scale[z], &n.amplitudes));
            self.arch
                .dispatch(|| pull(&mut values, &amplitudes, below, above));
            self.adjoint(&mut values, out, &mut scratch);
            previous = Some(amplitudes);
            match next {
                Some(next) => current = next,
                None => return,
            }
        }
    }
}

/// Replaces a slice's spectrum by the gradient of the distances to its two neighbours, each given
/// by its distance's scale and its amplitudes.
#[inline(always)]
fn pull(
    values: &mut [Complex32],
    amplitudes: &[f32],
    (below_scale, below): (f32, &Vec<f32>),
    (above_scale, above): (f32, &Vec<f32>),
) {
    let neighbours = below.iter().zip(above);
    for ((value, &amplitude), (below, above)) in values.iter_mut().zip(amplitudes).zip(neighbours) {
        let pull = below_scale * (amplitude - below) - above_scale * (above - amplitude);
        let ratio = if amplitude > 0.0 {
            pull / amplitude
        } else {
            0.0
        };
        *value *= ratio;
    }
}

/// `b[j, i] = a[i, j]` in blocks that stay in the cache.
fn transpose(a: &[Complex32], b: &mut [Complex32], rows: usize, columns: usize) {
    const BLOCK: usize = 16;
    for top in (0..rows).step_by(BLOCK) {
        for left in (0..columns).step_by(BLOCK) {
            for j in left..(left + BLOCK).min(columns) {
                for i in top..(top + BLOCK).min(rows) {
                    b[j * rows + i] = a[i * columns + j];
                }
            }
        }
    }
}
