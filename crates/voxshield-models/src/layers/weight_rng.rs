use std::f64::consts::TAU;

use burn::module::Param;
use burn::tensor::{Device, Tensor, TensorData};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// The generator that initial weights are drawn from: ChaCha8 on the host.
///
/// Burn's own generator belongs to a device and is shared between threads, so its draws depend on
/// what else runs; these depend on the seed and the order of the calls only.
#[derive(Debug, Clone)]
pub struct WeightRng(ChaCha8Rng);

impl WeightRng {
    /// A generator whose stream is a function of `seed`.
    pub fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// A parameter with elements drawn from `U(-bound, bound)`, in C order, with 24 bits each.
    pub fn uniform<const D: usize>(
        &mut self,
        shape: [usize; D],
        bound: f32,
        device: &Device,
    ) -> Param<Tensor<D>> {
        const STEP: f32 = 1.0 / (1 << 24) as f32;
        let count = shape.iter().product();
        let values: Vec<f32> = (0..count)
            .map(|_| bound * (2.0 * (self.0.next_u32() >> 8) as f32 * STEP - 1.0))
            .collect();
        Param::from_data(TensorData::new(values, shape), device)
    }

    /// A parameter with elements drawn from the normal distribution of mean 0 and this standard
    /// deviation, in C order (Box and Muller's method, one pair of 32-bit words for each element).
    pub fn normal<const D: usize>(
        &mut self,
        shape: [usize; D],
        deviation: f64,
        device: &Device,
    ) -> Param<Tensor<D>> {
        const STEP: f64 = 1.0 / (1u64 << 32) as f64;
        let count = shape.iter().product();
        let values: Vec<f32> = (0..count)
            .map(|_| {
                // In (0, 1]: the logarithm is finite.
                let radius = (f64::from(self.0.next_u32()) + 1.0) * STEP;
                let angle = TAU * f64::from(self.0.next_u32()) * STEP;
                (deviation * (-2.0 * radius.ln()).sqrt() * angle.cos()) as f32
            })
            .collect();
        Param::from_data(TensorData::new(values, shape), device)
    }
}

/// A parameter whose elements all have one value.
pub fn constant<const D: usize>(
    shape: [usize; D],
    value: f32,
    device: &Device,
) -> Param<Tensor<D>> {
    let count = shape.iter().product();
    Param::from_data(TensorData::new(vec![value; count], shape), device)
}
