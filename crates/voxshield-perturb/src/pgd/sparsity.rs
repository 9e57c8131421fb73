use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use crate::PerturbError;

/// Only the voxels with the largest gradients move.
///
/// In the first `rounds` visits of a case, its perturbation starts anew, and the voxels of the support whose gradient (the largest
/// over the channels) is within the largest `share` may move; from then on those that have moved. So the share of the support that
/// is perturbed in the end is at most `share`, up to ties: the union of the visits' choices would grow to all of it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sparsity {
    /// Share of the support, above 0 and at most 1.
    pub share: f64,
    /// Visits that choose anew, at least 1.
    pub rounds: usize,
}

impl Sparsity {
    pub(super) fn validate(self) -> Result<(), PerturbError> {
        if !(self.share > 0.0 && self.share <= 1.0) {
            return Err(PerturbError::Config {
                what: "share of the support that may change",
                expected: "a number above 0 and at most 1".into(),
                found: self.share.to_string(),
            });
        }
        match self.rounds {
            0 => Err(PerturbError::Config {
                what: "rounds that choose the voxels",
                expected: "at least 1".into(),
                found: "0".into(),
            }),
            _ => Ok(()),
        }
    }
}

/// The largest magnitude over the channels, `[batch, 1, depth, height, width]`.
pub(super) fn magnitude(gradient: Tensor<5>) -> Tensor<5> {
    gradient.abs().max_dim(1)
}

/// A streaming quantile of positive numbers: a histogram over the leading 16 bits of their `f32`, which are 8 bits of exponent and
/// 8 of significand, so that a bin is at most 0.4 % wide and no range has to be known before.
#[derive(Debug)]
pub(super) struct Magnitudes {
    bins: Vec<u64>,
    total: u64,
}

const BITS: u32 = 15;

impl Magnitudes {
    pub(super) fn new() -> Self {
        Self {
            bins: vec![0; 1 << (31 - BITS)],
            total: 0,
        }
    }

    /// Counts a voxel of the support; its magnitude is 0 or more.
    pub(super) fn add(&mut self, magnitude: f32) {
        self.bins[(magnitude.abs().to_bits() >> BITS) as usize] += 1;
        self.total += 1;
    }

    /// A threshold that at most `share` of the numbers reach, the smallest that a bin's border gives; one that the largest reach
    /// where the uppermost bin holds more than that. Zeros never reach it.
    pub(super) fn threshold(&self, share: f64) -> f32 {
        let most = (share * self.total as f64) as u64;
        let mut reached = 0;
        let mut threshold = f32::MAX;
        for (bin, &count) in self.bins.iter().enumerate().skip(1).rev() {
            if count > 0 && reached > 0 && reached + count > most {
                break;
            }
            if count > 0 {
                reached += count;
                threshold = f32::from_bits((bin as u32) << BITS);
            }
        }
        threshold
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_threshold_is_the_quantile_within_a_bin() {
        let mut magnitudes = Magnitudes::new();
        let value = |i: u32| (i as f32 / 700.0).exp() * 1e-6;
        let n = 10_000;
        (0..n).for_each(|i| magnitudes.add(value(i * 7919 % n)));
        for share in [1e-4, 0.01, 0.1, 0.3, 1.0] {
            let threshold = magnitudes.threshold(share);
            let reached = (0..n).filter(|&i| value(i) >= threshold).count();
            let most = share * f64::from(n);
            // A bin is 0.4 % wide: up to 3 of these values.
            assert!(
                reached as f64 <= most && reached as f64 > most - 4.0,
                "{share}: {reached}"
            );
        }
    }

    #[test]
    fn equal_magnitudes_all_pass_and_zeros_never_do() {
        let mut magnitudes = Magnitudes::new();
        assert_eq!(magnitudes.threshold(0.5), f32::MAX);
        (0..10).for_each(|_| magnitudes.add(0.0));
        assert_eq!(magnitudes.threshold(0.5), f32::MAX);
        (0..90).for_each(|_| magnitudes.add(0.25));
        assert!(magnitudes.threshold(0.1) <= 0.25 && magnitudes.threshold(1.0) > 0.0);
    }

    #[test]
    fn settings_out_of_range_are_refused() {
        let good = Sparsity {
            share: 0.1,
            rounds: 1,
        };
        assert!(good.validate().is_ok());
        for share in [0.0, -0.1, 1.1, f64::NAN] {
            assert!(Sparsity { share, ..good }.validate().is_err(), "{share}");
        }
        assert!(Sparsity { rounds: 0, ..good }.validate().is_err());
    }
}
