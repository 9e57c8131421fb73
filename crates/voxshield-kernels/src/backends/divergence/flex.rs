use burn::backend::{Flex, TensorMetadata, tensor::FloatTensor};
use pulp::Arch;
use rayon::prelude::*;

use crate::backends::lanes::{all_f32, contiguous, sums, tensor};
use crate::ops::{DivergenceOps, divergence::composition};

/// Elements of one task. Fixed, so that the sum does not depend on the number of threads.
const CHUNK: usize = 1 << 16;

impl DivergenceOps for Flex {
    fn mean_distance(a: FloatTensor<Self>, b: FloatTensor<Self>) -> FloatTensor<Self> {
        if !all_f32(&[&a, &b]) {
            return composition::mean_distance::<Self>(a, b);
        }
        let [a, b] = [a, b].map(contiguous);
        let (a, b): (&[f32], &[f32]) = (a.storage(), b.storage());
        let arch = Arch::new();
        let parts: Vec<f64> = a
            .par_chunks(CHUNK)
            .zip(b.par_chunks(CHUNK))
            .map(|(a, b)| {
                let [sum] = arch.dispatch(|| sums(a, b, |a, b| [(a - b).abs()]));
                sum
            })
            .collect();
        let mean = parts.iter().sum::<f64>() / a.len() as f64;
        tensor(vec![mean as f32], [1])
    }

    fn mean_distance_backward(
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        if !all_f32(&[&a, &b, &gradient]) {
            return composition::mean_distance_backward::<Self>(a, b, gradient);
        }
        let [a, b, gradient] = [a, b, gradient].map(contiguous);
        let shape = a.shape();
        let (a, b): (&[f32], &[f32]) = (a.storage(), b.storage());
        let share = gradient.storage::<f32>()[0] / a.len() as f32;
        let arch = Arch::new();
        let mut out = vec![0f32; a.len()];
        out.par_chunks_mut(CHUNK)
            .zip(a.par_chunks(CHUNK).zip(b.par_chunks(CHUNK)))
            .for_each(|(out, (a, b))| {
                arch.dispatch(|| {
                    for (out, (a, b)) in out.iter_mut().zip(a.iter().zip(b)) {
                        let step = a - b;
                        let falling = if step < 0.0 { -share } else { 0.0 };
                        *out = if step > 0.0 { share } else { falling };
                    }
                });
            });
        tensor(out, shape)
    }
}
