use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::{Budget, PerturbError};

/// Noise that learns nothing: the control that every method is compared with.
///
/// All kinds are bounded by epsilon and drawn from ChaCha8, so a seed gives the same noise
/// everywhere. It knows no support, which [`Budget::clip`] applies: the noise inside does not depend on the outside.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RandomNoise {
    /// Uniform in `-epsilon..epsilon`.
    Uniform,
    /// Normal with standard deviation `epsilon / 2`, cut at `+-epsilon`.
    Gaussian,
    /// `+-epsilon` with equal probability.
    Rademacher,
    /// `+-epsilon` at a share of the voxels, 0 elsewhere.
    SaltAndPepper {
        /// The share, above 0 and at most 1.
        share: f64,
    },
    /// Uniform noise at a share of the voxels, 0 elsewhere.
    Sparse {
        /// The share, above 0 and at most 1.
        share: f64,
    },
}

impl RandomNoise {
    /// A perturbation of `channels` volumes of `voxels` each, `[channel, depth, height, width]` in C order.
    ///
    /// # Errors
    /// [`PerturbError::Config`] if a share is not in (0, 1].
    pub fn sample(
        self,
        budget: Budget,
        channels: usize,
        voxels: usize,
        seed: u64,
    ) -> Result<Vec<f32>, PerturbError> {
        Ok(self.stream(budget, channels, voxels, seed)?.next(voxels))
    }

    /// The same noise part by part.
    ///
    /// # Errors
    /// As [`sample`](Self::sample).
    pub fn stream(
        self,
        budget: Budget,
        channels: usize,
        voxels: usize,
        seed: u64,
    ) -> Result<NoiseStream, PerturbError> {
        if let Self::SaltAndPepper { share } | Self::Sparse { share } = self
            && !(share > 0.0 && share <= 1.0)
        {
            return Err(PerturbError::Config {
                what: "share of noisy voxels",
                expected: "a number above 0 and at most 1".into(),
                found: share.to_string(),
            });
        }
        // The channels are drawn one after the other; how many words a draw takes is not known before.
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut channels: Vec<ChaCha8Rng> = (1..channels)
            .map(|_| {
                let begin = rng.clone();
                (0..voxels).for_each(|_| {
                    self.draw(&mut rng);
                });
                begin
            })
            .collect();
        channels.push(rng);
        Ok(NoiseStream {
            noise: self,
            epsilon: budget.epsilon() as f32,
            channels,
        })
    }

    /// One value in -1..=1.
    fn draw(self, rng: &mut ChaCha8Rng) -> f32 {
        let sign = |rng: &mut ChaCha8Rng| if rng.random::<bool>() { 1.0 } else { -1.0 };
        match self {
            Self::Uniform => rng.random_range(-1.0f32..=1.0),
            Self::Gaussian => {
                // Box and Muller; 1 - u keeps the logarithm finite.
                let (u, v): (f32, f32) = (rng.random(), rng.random());
                let normal = (-2.0 * (1.0 - u).ln()).sqrt() * (std::f32::consts::TAU * v).cos();
                (0.5 * normal).clamp(-1.0, 1.0)
            }
            Self::Rademacher => sign(rng),
            Self::SaltAndPepper { share } => {
                let (hit, value) = (rng.random::<f64>() < share, sign(rng));
                if hit { value } else { 0.0 }
            }
            Self::Sparse { share } => {
                let (hit, value) = (rng.random::<f64>() < share, rng.random_range(-1.0f32..=1.0));
                if hit { value } else { 0.0 }
            }
        }
    }
}

/// Noise that is drawn as it is needed; see [`RandomNoise::stream`].
#[derive(Debug, Clone)]
pub struct NoiseStream {
    noise: RandomNoise,
    epsilon: f32,
    channels: Vec<ChaCha8Rng>,
}

impl NoiseStream {
    /// The noise of the next voxels, `[channel, voxel]`.
    pub fn next(&mut self, voxels: usize) -> Vec<f32> {
        let mut noise = Vec::with_capacity(self.channels.len() * voxels);
        for rng in &mut self.channels {
            noise.extend((0..voxels).map(|_| self.noise.draw(rng) * self.epsilon));
        }
        noise
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KINDS: [RandomNoise; 5] = [
        RandomNoise::Uniform,
        RandomNoise::Gaussian,
        RandomNoise::Rademacher,
        RandomNoise::SaltAndPepper { share: 0.2 },
        RandomNoise::Sparse { share: 0.2 },
    ];

    #[test]
    fn every_kind_keeps_budget_and_seed() {
        let budget = Budget::new(0.1).unwrap();
        for kind in KINDS {
            let a = kind.sample(budget, 2, 4000, 5).unwrap();
            assert_eq!(a, kind.sample(budget, 2, 4000, 5).unwrap(), "{kind:?}");
            assert_ne!(a, kind.sample(budget, 2, 4000, 6).unwrap(), "{kind:?}");
            assert!(a.iter().all(|v| v.abs() <= 0.1f32), "{kind:?}");
            assert_eq!(a.len(), 8000);
            let filled = a.iter().filter(|v| **v != 0.0).count() as f64 / 8000.0;
            let share = match kind {
                RandomNoise::SaltAndPepper { share } | RandomNoise::Sparse { share } => share,
                _ => 1.0,
            };
            assert!((filled - share).abs() < 0.03, "{kind:?}: {filled}");
            let mean: f32 = a.iter().sum::<f32>() / 8000.0;
            assert!(mean.abs() < 0.005, "{kind:?}: {mean}");
        }
    }

    #[test]
    fn parts_are_those_of_the_whole() {
        let budget = Budget::new(0.1).unwrap();
        for kind in KINDS {
            for channels in [1, 3] {
                let whole = kind.sample(budget, channels, 100, 5).unwrap();
                let mut stream = kind.stream(budget, channels, 100, 5).unwrap();
                for part in [0..30, 30..31, 31..100] {
                    let found = stream.next(part.len());
                    let expected = whole.chunks(100).flat_map(|channel| &channel[part.clone()]);
                    assert!(found.iter().eq(expected), "{kind:?}");
                }
            }
        }
    }

    #[test]
    fn a_share_out_of_range_is_refused() {
        let budget = Budget::new(0.1).unwrap();
        let noise = RandomNoise::Sparse { share: 0.0 };
        assert!(noise.sample(budget, 1, 1, 0).is_err());
    }
}
