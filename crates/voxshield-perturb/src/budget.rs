use burn::tensor::Tensor;

use crate::PerturbError;

/// The bound of a perturbation in the maximum norm, in normalised units (intensities in 0..1).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Budget {
    epsilon: f64,
}

impl Budget {
    /// A budget of `epsilon`.
    ///
    /// # Errors
    /// [`PerturbError::Config`] unless `0 < epsilon <= 1`.
    pub fn new(epsilon: f64) -> Result<Self, PerturbError> {
        if epsilon > 0.0 && epsilon <= 1.0 {
            Ok(Self { epsilon })
        } else {
            Err(PerturbError::Config {
                what: "epsilon",
                expected: "a number above 0 and at most 1, in normalised units (4/255 is usual)"
                    .into(),
                found: epsilon.to_string(),
            })
        }
    }

    /// The bound.
    pub fn epsilon(self) -> f64 {
        self.epsilon
    }

    /// `clamp(delta, -epsilon, epsilon)`, zero outside `support` (0 or 1, broadcast over channels).
    ///
    /// # Shapes
    /// `delta` `[batch, channel, depth, height, width]`, `support` `[batch, 1, depth, height, width]`.
    pub fn project(self, delta: Tensor<5>, support: &Tensor<5>) -> Tensor<5> {
        delta.clamp(-self.epsilon, self.epsilon) * support.clone()
    }

    /// The protected volume as a network sees it, `clamp(x + delta, 0, 1)`.
    pub fn protect(self, x: Tensor<5>, delta: Tensor<5>) -> Tensor<5> {
        (x + delta).clamp(0.0, 1.0)
    }

    /// The perturbation that is left after clipping, `clamp(x + delta, 0, 1) - x` bounded by
    /// epsilon, on host arrays; `x` in 0..1, 0 where `delta` is 0.
    pub fn clip(self, x: &[f32], delta: &mut [f32]) {
        let bound = self.epsilon as f32;
        for (d, &x) in delta.iter_mut().zip(x) {
            if *d != 0.0 {
                *d = ((x + d.clamp(-bound, bound)).clamp(0.0, 1.0) - x).clamp(-bound, bound);
            }
        }
    }
}
