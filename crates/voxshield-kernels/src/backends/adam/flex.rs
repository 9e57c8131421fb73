use burn::backend::{Flex, tensor::FloatTensor};
use pulp::{Arch, NullaryFnOnce};
use rayon::prelude::*;

use crate::backends::lanes::{all_f32, contiguous};
use crate::ops::{AdamOps, AdamStep, adam::composition};

/// Elements of one task.
const CHUNK: usize = 1 << 15;

impl AdamOps for Flex {
    fn adam_step(
        weight: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        first: FloatTensor<Self>,
        second: FloatTensor<Self>,
        step: AdamStep,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        if !all_f32(&[&weight, &gradient, &first, &second]) {
            return composition::adam_step::<Self>(weight, gradient, first, second, step);
        }
        let [mut weight, gradient, mut first, mut second] =
            [weight, gradient, first, second].map(contiguous);
        let factors = Factors::new(step);
        let arch = Arch::new();
        // `storage_mut` copies only what somebody else holds too.
        weight
            .storage_mut::<f32>()
            .par_chunks_mut(CHUNK)
            .zip(gradient.storage::<f32>().par_chunks(CHUNK))
            .zip(first.storage_mut::<f32>().par_chunks_mut(CHUNK))
            .zip(second.storage_mut::<f32>().par_chunks_mut(CHUNK))
            .for_each(|(((weight, gradient), first), second)| {
                arch.dispatch(Update {
                    factors,
                    weight,
                    gradient,
                    first,
                    second,
                });
            });
        (weight, first, second)
    }
}

// See `lanes` for why this is a type.
struct Update<'a> {
    factors: Factors,
    weight: &'a mut [f32],
    gradient: &'a [f32],
    first: &'a mut [f32],
    second: &'a mut [f32],
}

impl NullaryFnOnce for Update<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let factors = self.factors;
        factors.update(self.weight, self.gradient, self.first, self.second);
    }
}

/// [`AdamStep`] as the loop needs it.
#[derive(Clone, Copy)]
struct Factors {
    decay: f32,
    beta_1: f32,
    rest_1: f32,
    beta_2: f32,
    rest_2: f32,
    rate: f32,
    scale: f32,
    epsilon: f32,
}

impl Factors {
    fn new(step: AdamStep) -> Self {
        let [rate, scale] = step.corrections().map(|value| value as f32);
        Self {
            decay: step.decay as f32,
            beta_1: step.beta_1 as f32,
            rest_1: (1.0 - step.beta_1) as f32,
            beta_2: step.beta_2 as f32,
            rest_2: (1.0 - step.beta_2) as f32,
            rate,
            scale,
            epsilon: step.epsilon as f32,
        }
    }

    // The operations of the composition in their order, none of them fused: the same bits on every
    // instruction set.
    #[inline(always)]
    fn update(&self, weight: &mut [f32], gradient: &[f32], first: &mut [f32], second: &mut [f32]) {
        let moments = first.iter_mut().zip(second);
        for ((w, &g), (m, v)) in weight.iter_mut().zip(gradient).zip(moments) {
            let g = g + *w * self.decay;
            *m = *m * self.beta_1 + g * self.rest_1;
            *v = *v * self.beta_2 + g * g * self.rest_2;
            *w -= *m * self.rate / (v.sqrt() / self.scale + self.epsilon);
        }
    }
}
