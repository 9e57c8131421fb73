use burn::backend::{Flex, TensorMetadata, tensor::FloatTensor};
use pulp::{Arch, NullaryFnOnce};
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
            .map(|(a, b)| arch.dispatch(Distance { a, b }))
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
                arch.dispatch(Gradient { a, b, share, out });
            });
        tensor(out, shape)
    }
}

// See `lanes` for why these are types.
struct Distance<'a> {
    a: &'a [f32],
    b: &'a [f32],
}

impl NullaryFnOnce for Distance<'_> {
    type Output = f64;

    #[inline(always)]
    fn call(self) -> f64 {
        let [sum] = sums(self.a, self.b, |a, b| [(a - b).abs()]);
        sum
    }
}

struct Gradient<'a> {
    a: &'a [f32],
    b: &'a [f32],
    share: f32,
    out: &'a mut [f32],
}

impl NullaryFnOnce for Gradient<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let share = self.share;
        for (out, (a, b)) in self.out.iter_mut().zip(self.a.iter().zip(self.b)) {
            let step = a - b;
            let falling = if step < 0.0 { -share } else { 0.0 };
            *out = if step > 0.0 { share } else { falling };
        }
    }
}
