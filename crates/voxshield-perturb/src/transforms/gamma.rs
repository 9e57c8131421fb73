use burn::tensor::Tensor;
use rand::Rng;

use super::family::{Change, uniform};

/// `x^exponent` of intensities in 0..1.
pub(super) struct Gamma {
    exponent: f64,
}

/// The derivative of a power below 1 is infinite at 0; below this intensity the curve is cut.
const DARKEST: f64 = 1e-3;

impl Gamma {
    pub(super) fn draw(rng: &mut impl Rng) -> Self {
        Self {
            exponent: uniform(rng, 0.7, 1.5),
        }
    }
}

impl Change for Gamma {
    fn image(&self, x: Tensor<5>) -> Tensor<5> {
        x.clamp(DARKEST, 1.0).powf_scalar(self.exponent)
    }
}
