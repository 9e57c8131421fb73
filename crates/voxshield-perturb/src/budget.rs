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

    /// `support * clamp(delta, -epsilon, epsilon)`, so `|delta| <= epsilon * support`; `support` is 0..1, broadcast over
    /// channels.
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

    /// The perturbation that is left after projection and clipping, on host arrays: `d = support * clamp(delta, -epsilon,
    /// epsilon)`, then `clamp(x + d, 0, 1) - x`, bounded by `epsilon * support`; exactly 0 where `support` or `delta` is 0.
    ///
    /// # Shapes
    /// `x` (in 0..1) and `delta` `[channel, depth, height, width]`, `support` (0..1) `[depth, height, width]`.
    pub fn clip(self, x: &[f32], support: &[f32], delta: &mut [f32]) {
        let epsilon = self.epsilon as f32;
        for ((d, &x), &share) in delta.iter_mut().zip(x).zip(support.iter().cycle()) {
            let bound = epsilon * share;
            *d = d.clamp(-epsilon, epsilon) * share;
            if *d != 0.0 {
                *d = ((x + *d).clamp(0.0, 1.0) - x).clamp(-bound, bound);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_keeps_the_share_of_every_voxel_and_the_intensities() {
        let budget = Budget::new(0.1).unwrap();
        let x = [0.5, 0.5, 0.5, 0.95, 0.0, 0.5, 0.5, 0.5];
        let support = [1.0, 0.5, 0.0, 1.0];
        let mut delta = [0.3, -0.3, 0.3, 0.1, -0.1, 0.04, -0.02, 0.0];
        budget.clip(&x, &support, &mut delta);
        let expected = [0.1, -0.05, 0.0, 0.05, 0.0, 0.02, 0.0, 0.0];
        for (voxel, (found, expected)) in delta.iter().zip(expected).enumerate() {
            assert!((found - expected).abs() < 1e-6f32, "{voxel}: {found}");
            assert!(found.abs() <= 0.1 * support[voxel % 4], "{voxel}: {found}");
        }
    }
}
