use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::parameter::{made, within};
use super::{Defence, DefenceEntry, LabelledVolume};
use crate::EvalError;

pub(super) const ENTRY: DefenceEntry = DefenceEntry {
    name: "random-inversion",
    parameter: "share of the cases",
    strengths: &[0.5],
    cheap: true,
    make: |strength| made(strength, RandomInversion::new),
};

/// The negative of the image, `1 - x`, in a share of the cases that the seed draws; the label stays. A network that sees both learns
/// structures by their shape and outline and not by being bright or dark, which is what a perturbation that swaps
/// contrasts relies on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RandomInversion {
    share: f64,
}

impl RandomInversion {
    /// The share of the cases. Default: 0.5.
    ///
    /// # Errors
    /// [`EvalError::Parameter`] if it is not in 0..=1.
    pub fn new(share: f64) -> Result<Self, EvalError> {
        let share = within("share of inverted cases", "0 to 1", 0.0..=1.0, share)?;
        Ok(Self { share })
    }
}

impl Default for RandomInversion {
    fn default() -> Self {
        Self { share: 0.5 }
    }
}

impl Defence for RandomInversion {
    fn name(&self) -> &'static str {
        ENTRY.name
    }

    fn strength(&self) -> Option<f64> {
        Some(self.share)
    }

    /// Which cases are inverted is drawn.
    fn at_test(&self) -> bool {
        false
    }

    fn apply(&self, volume: &mut LabelledVolume, seed: u64) {
        if ChaCha8Rng::seed_from_u64(seed).random::<f64>() < self.share {
            for value in volume.channels_mut().flatten() {
                *value = 1.0 - *value;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inverted(share: f64, seed: u64) -> bool {
        let mut volume = LabelledVolume::new(vec![0.25; 16], vec![1; 8], [2; 4]).unwrap();
        RandomInversion::new(share)
            .unwrap()
            .apply(&mut volume, seed);
        let image = volume.image();
        assert!(image.iter().all(|&x| x == image[0]), "half a case");
        assert!(image[0] == 0.25 || image[0] == 0.75);
        image[0] == 0.75
    }

    #[test]
    fn the_share_of_the_cases_is_inverted() {
        let count = |share| (0..400).filter(|&seed| inverted(share, seed)).count();
        assert_eq!((count(0.0), count(1.0)), (0, 400));
        // Five standard deviations of the number of heads in 400 throws.
        assert!((150..=250).contains(&count(0.5)));
    }
}
