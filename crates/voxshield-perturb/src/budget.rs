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
    /// epsilon)`, then `clamp(d, -x, 1 - x)`, bounded by `epsilon * support`; exactly 0 where `support` or `delta` is 0. A delta of
    /// epsilon stays one where `x` leaves room for it, to the bit.
    ///
    /// # Shapes
    /// `x` (in 0..1) and `delta` `[channel, depth, height, width]`, `support` (0..1) `[depth, height, width]`.
    ///
    /// # Errors
    /// [`PerturbError::Extent`] for arrays of other lengths; `delta` stays as it is then.
    pub fn clip(self, x: &[f32], support: &[f32], delta: &mut [f32]) -> Result<(), PerturbError> {
        let voxels = delta.len();
        let extent = |what, expected, found| PerturbError::Extent {
            case: 0,
            what,
            expected,
            found,
        };
        if x.len() != voxels {
            return Err(extent("image that delta is added to", voxels, x.len()));
        }
        // One support for all channels.
        if !voxels.is_multiple_of(support.len()) {
            return Err(extent("support of the image", voxels, support.len()));
        }
        let epsilon = self.epsilon as f32;
        for ((d, &x), &share) in delta.iter_mut().zip(x).zip(support.iter().cycle()) {
            let bound = epsilon * share;
            *d = d.clamp(-epsilon, epsilon) * share;
            if *d != 0.0 {
                // Not by way of x + d, whose rounding would leave a little less than epsilon, and that a step less in the file. Without
                // max and min, which would make a number of NaN, that of an optimisation which diverged.
                let (least, most) = (-x, 1.0 - x);
                let inside = match *d {
                    d if d < least => least,
                    d if d > most => most,
                    d => d,
                };
                *d = inside.clamp(-bound, bound);
            }
        }
        Ok(())
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
        budget.clip(&x, &support, &mut delta).unwrap();
        let expected = [0.1, -0.05, 0.0, 0.05, 0.0, 0.02, 0.0, 0.0];
        for (voxel, (found, expected)) in delta.iter().zip(expected).enumerate() {
            assert!((found - expected).abs() < 1e-6f32, "{voxel}: {found}");
            assert!(found.abs() <= 0.1 * support[voxel % 4], "{voxel}: {found}");
        }
    }

    #[test]
    fn a_saturated_delta_stays_saturated_where_there_is_room() {
        // Every value of a byte, and epsilon a whole number of its steps.
        let x: Vec<f32> = (0..=255u8).map(|v| (f64::from(v) / 255.0) as f32).collect();
        for steps in [1.0, 4.0, 16.0] {
            let budget = Budget::new(steps / 255.0).unwrap();
            let epsilon = budget.epsilon() as f32;
            for sign in [1.0, -1.0] {
                let mut delta = vec![sign * epsilon; x.len()];
                budget.clip(&x, &[1.0], &mut delta).unwrap();
                for (x, d) in x.iter().zip(delta) {
                    let room = if sign > 0.0 { 1.0 - x } else { *x };
                    assert_eq!(d, sign * epsilon.min(room), "{steps} {x}");
                }
            }
        }
    }

    #[test]
    fn arrays_of_other_lengths_are_refused() {
        let budget = Budget::new(0.1).unwrap();
        for (x, support) in [(3, 4), (4, 3), (4, 0), (5, 4)] {
            let mut delta = [0.3; 4];
            let found = budget.clip(&vec![0.5; x], &vec![1.0; support], &mut delta);
            assert!(
                matches!(found, Err(PerturbError::Extent { .. })),
                "{x} {support}"
            );
            assert_eq!(delta, [0.3; 4]);
        }
    }

    #[test]
    fn what_is_no_number_stays_none() {
        let mut delta = [f32::NAN];
        Budget::new(0.1)
            .unwrap()
            .clip(&[0.5], &[1.0], &mut delta)
            .unwrap();
        assert!(delta[0].is_nan());
    }
}
