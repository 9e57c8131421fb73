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

    /// A parameter with elements drawn from the normal distribution `N(0, deviation^2)`, in C order
    /// (Box and Muller's transform of 32 bits each, so that no element is beyond 6.7 deviations).
    pub fn normal<const D: usize>(
        &mut self,
        shape: [usize; D],
        deviation: f64,
        device: &Device,
    ) -> Param<Tensor<D>> {
        let count = shape.iter().product();
        let mut values = Vec::with_capacity(count);
        while values.len() < count {
            let radius = deviation * (-2.0 * self.unit().ln()).sqrt();
            let angle = std::f64::consts::TAU * self.unit();
            values.push((radius * angle.cos()) as f32);
            if values.len() < count {
                values.push((radius * angle.sin()) as f32);
            }
        }
        Param::from_data(TensorData::new(values, shape), device)
    }

    /// In (0, 1]: its logarithm is finite.
    fn unit(&mut self) -> f64 {
        (f64::from(self.0.next_u32()) + 1.0) / 4_294_967_296.0
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
