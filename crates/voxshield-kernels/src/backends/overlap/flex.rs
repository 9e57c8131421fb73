use burn::backend::{
    Flex, TensorMetadata,
    ops::IntTensorOps,
    tensor::{FloatTensor, IntTensor},
};
use burn::tensor::{DType, IntDType};
use pulp::{Arch, NullaryFnOnce};
use rayon::prelude::*;

use super::softmax::{BLOCK, Softmax};
use crate::backends::lanes::{all_f32, contiguous, sums, tensor};
use crate::ops::{
    OverlapOps,
    overlap::{OVERLAP_SUMS, composition},
};

/// Voxels of one task. Fixed, so that the sums do not depend on the number of threads.
const CHUNK: usize = 32 * BLOCK;

type Sums = [f64; OVERLAP_SUMS];

impl OverlapOps for Flex {
    fn overlap_sums(logits: FloatTensor<Self>, labels: IntTensor<Self>) -> FloatTensor<Self> {
        if !all_f32(&[&logits]) {
            return composition::overlap_sums::<Self>(logits, labels);
        }
        let (logits, labels) = (contiguous(logits), contiguous(wide(labels)));
        let shape = logits.shape();
        let (batch, classes) = (shape[0], shape[1]);
        let voxels = shape[2] * shape[3] * shape[4];
        let (logits, labels): (&[f32], &[i64]) = (logits.storage(), labels.storage());
        let arch = Arch::new();

        let samples = logits.chunks_exact(classes * voxels);
        let totals = samples
            .zip(labels.chunks_exact(voxels))
            .flat_map(|(logits, labels)| {
                let parts: Vec<Vec<Sums>> = labels
                    .par_chunks(CHUNK)
                    .enumerate()
                    .map(|(chunk, labels)| {
                        let task = Task {
                            logits,
                            voxels,
                            first: chunk * CHUNK,
                            labels,
                        };
                        arch.dispatch(TaskSums { task, classes })
                    })
                    .collect();
                (0..classes * OVERLAP_SUMS).map(move |i| {
                    let column = |part: &Vec<Sums>| part[i / OVERLAP_SUMS][i % OVERLAP_SUMS];
                    parts.iter().map(column).sum::<f64>() as f32
                })
            });
        tensor(totals.collect(), [batch, classes, OVERLAP_SUMS])
    }

    fn overlap_sums_backward(
        logits: FloatTensor<Self>,
        labels: IntTensor<Self>,
        gradient: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        if !all_f32(&[&logits, &gradient]) {
            return composition::overlap_sums_backward::<Self>(logits, labels, gradient);
        }
        let [logits, gradient] = [logits, gradient].map(contiguous);
        let labels = contiguous(wide(labels));
        let shape = logits.shape();
        let classes = shape[1];
        let voxels = shape[2] * shape[3] * shape[4];
        let (data, labels): (&[f32], &[i64]) = (logits.storage(), labels.storage());
        let (gradient, _) = gradient.storage::<f32>().as_chunks::<OVERLAP_SUMS>();
        let arch = Arch::new();

        let mut out = vec![0f32; data.len()];
        for (((out, logits), labels), gradient) in out
            .chunks_exact_mut(classes * voxels)
            .zip(data.chunks_exact(classes * voxels))
            .zip(labels.chunks_exact(voxels))
            .zip(gradient.chunks_exact(classes))
        {
            by_chunk(out, voxels)
                .into_par_iter()
                .zip(labels.par_chunks(CHUNK))
                .enumerate()
                .for_each(|(chunk, (mut out, labels))| {
                    let task = Task {
                        logits,
                        voxels,
                        first: chunk * CHUNK,
                        labels,
                    };
                    arch.dispatch(TaskGradient {
                        task,
                        gradient,
                        out: &mut out,
                    });
                });
        }
        tensor(out, shape)
    }
}

/// `labels` as `i64`.
fn wide(labels: IntTensor<Flex>) -> IntTensor<Flex> {
    if labels.dtype() == DType::I64 {
        labels
    } else {
        Flex::int_cast(labels, IntDType::I64)
    }
}

/// A `[class, voxel]` array cut along the voxels: for each chunk, its part of every class.
fn by_chunk(sample: &mut [f32], voxels: usize) -> Vec<Vec<&mut [f32]>> {
    let mut chunks: Vec<Vec<&mut [f32]>> = Vec::new();
    chunks.resize_with(voxels.div_ceil(CHUNK), Vec::new);
    for class in sample.chunks_exact_mut(voxels) {
        for (chunk, part) in chunks.iter_mut().zip(class.chunks_mut(CHUNK)) {
            chunk.push(part);
        }
    }
    chunks
}

/// A chunk of the voxels of one sample.
struct Task<'a> {
    /// `[class, voxel]`, of the whole sample.
    logits: &'a [f32],
    voxels: usize,
    /// The chunk's first voxel.
    first: usize,
    /// The chunk's labels.
    labels: &'a [i64],
}

impl<'a> Task<'a> {
    /// The logits of class `class` at `len` voxels from the chunk's voxel `from` on.
    #[inline(always)]
    fn logits(&self, class: usize, from: usize, len: usize) -> &'a [f32] {
        &self.logits[class * self.voxels + self.first + from..][..len]
    }

    /// Loads the block of `labels` that begins at the chunk's voxel `from`.
    #[inline(always)]
    fn load(&self, softmax: &mut Softmax, from: usize, labels: &[i64]) {
        softmax.load(|class| self.logits(class, from, labels.len()), labels);
    }

    #[inline(always)]
    fn sums(&self, classes: usize) -> Vec<Sums> {
        let mut totals = vec![[0f64; OVERLAP_SUMS]; classes];
        let mut nll = [0f32; BLOCK];
        let mut softmax = Softmax::new(classes);
        // A loop, not a closure that is called for each block: see `lanes`.
        for (block, labels) in self.labels.chunks(BLOCK).enumerate() {
            let (from, len) = (block * BLOCK, labels.len());
            self.load(&mut softmax, from, labels);
            let label = &softmax.label[..len];
            for (class, totals) in totals.iter_mut().enumerate() {
                let own = class as f32;
                let logits = self.logits(class, from, len);
                let voxels = logits.iter().zip(&softmax.largest);
                for ((nll, (logit, largest)), ln_total) in
                    nll.iter_mut().zip(voxels).zip(&softmax.ln_total)
                {
                    *nll = (largest - logit) + ln_total;
                }
                // Selected, not multiplied: 0 times an infinite logit would be NaN.
                let [pt, p, t] = sums(softmax.p(class, len), label, |p, label| {
                    if label == own {
                        [p, p, 1.0]
                    } else {
                        [0.0, p, 0.0]
                    }
                });
                let [nll] = sums(&nll[..len], label, |nll, label| {
                    [if label == own { nll } else { 0.0 }]
                });
                for (total, sum) in totals.iter_mut().zip([pt, p, t, nll]) {
                    *total += sum;
                }
            }
        }
        totals
    }

    /// `gradient[class]` are the columns of `overlap_sums`' gradient, `out[class]` is the chunk of
    /// the result.
    #[inline(always)]
    fn gradient(&self, gradient: &[[f32; OVERLAP_SUMS]], out: &mut [&mut [f32]]) {
        // sum_k a_k p_k - n_y, and n_y, voxel by voxel.
        let mut mean = [0f32; BLOCK];
        let mut of_label = [0f32; BLOCK];
        let mut softmax = Softmax::new(gradient.len());
        for (block, labels) in self.labels.chunks(BLOCK).enumerate() {
            let (from, len) = (block * BLOCK, labels.len());
            self.load(&mut softmax, from, labels);
            mean.fill(0.0);
            of_label.fill(0.0);
            for (class, &[i, u, _, n]) in gradient.iter().enumerate() {
                let own = class as f32;
                let voxels = softmax.p(class, len).iter().zip(&softmax.label);
                for ((&p, &label), (mean, of_label)) in
                    voxels.zip(mean.iter_mut().zip(&mut of_label))
                {
                    *mean += p * if label == own { u + i } else { u };
                    *of_label = if label == own { n } else { *of_label };
                }
            }
            for (mean, of_label) in mean.iter_mut().zip(&of_label) {
                *mean -= of_label;
            }
            for (class, (&[i, u, ..], out)) in gradient.iter().zip(&mut *out).enumerate() {
                let own = class as f32;
                let voxels = softmax.p(class, len).iter().zip(&softmax.label);
                let terms = mean.iter().zip(&of_label);
                for ((out, (&p, &label)), (&mean, &of_label)) in
                    out[from..from + len].iter_mut().zip(voxels).zip(terms)
                {
                    let hot = label == own;
                    let a = if hot { u + i } else { u };
                    *out = p * (a - mean) - if hot { of_label } else { 0.0 };
                }
            }
        }
    }
}

// See `lanes` for why these are types.
struct TaskSums<'a> {
    task: Task<'a>,
    classes: usize,
}

impl NullaryFnOnce for TaskSums<'_> {
    type Output = Vec<Sums>;

    #[inline(always)]
    fn call(self) -> Vec<Sums> {
        self.task.sums(self.classes)
    }
}

struct TaskGradient<'a, 'b> {
    task: Task<'a>,
    gradient: &'a [[f32; OVERLAP_SUMS]],
    out: &'a mut [&'b mut [f32]],
}

impl NullaryFnOnce for TaskGradient<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        self.task.gradient(self.gradient, self.out);
    }
}
