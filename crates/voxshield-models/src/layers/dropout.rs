use burn::module::{Flag, Module, Param};
use burn::tensor::{Tensor, TensorData};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng;

use super::WeightRng;
use super::guarded::Guarded;
use crate::ModelError;
use crate::precision::like;

/// Drops whole channels in training, PyTorch's `Dropout3d`: each channel of each sample becomes 0
/// with probability `p`, and the others are divided by `1 - p`.
///
/// Outside of training (no autodiff device, or frozen) it is the identity. The draws come from
/// ChaCha8 on the host, from a stream that begins with the network's seed; a clone continues from
/// where the original stands.
#[derive(Module, Debug)]
pub struct ChannelDropout {
    probability: f64,
    /// Whether training behaviour is allowed; [`Module::freeze`] switches it off.
    pub training: Param<Flag>,
    #[module(skip)]
    rng: Guarded<ChaCha8Rng>,
}

impl ChannelDropout {
    /// Drops with `probability`, which [`ChannelDropout::validate`] accepts.
    pub fn new(probability: f64, rng: &mut WeightRng) -> Self {
        Self {
            probability,
            training: Param::from_bool(true),
            rng: Guarded::new(rng.stream()),
        }
    }

    /// Checks a probability.
    ///
    /// # Errors
    ///
    /// [`ModelError::OutOfRange`] if it is not in `0..1`.
    pub fn validate(what: &'static str, probability: f64) -> Result<(), ModelError> {
        match (0.0..1.0).contains(&probability) {
            true => Ok(()),
            false => Err(ModelError::OutOfRange {
                what,
                expected: "a probability from 0 to less than 1",
                found: probability,
            }),
        }
    }

    /// `[batch, channel, depth, height, width]`, kept.
    pub fn forward(&self, x: Tensor<5>) -> Tensor<5> {
        if self.probability == 0.0 || !(self.training.is_enabled() && x.is_autodiff()) {
            return x;
        }
        let [batch, channels, ..] = x.dims();
        let kept = (1.0 / (1.0 - self.probability)) as f32;
        let mask: Vec<f32> = self.rng.with(|rng| {
            let mut draw = || f64::from(rng.next_u32() >> 8) / f64::from(1 << 24);
            (0..batch * channels)
                .map(|_| if draw() < self.probability { 0.0 } else { kept })
                .collect()
        });
        let mask = TensorData::new(mask, [batch, channels, 1, 1, 1]);
        let mask = like(Tensor::<5>::from_data(mask, &x.device()), &x);
        x * mask
    }
}
