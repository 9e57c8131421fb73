use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::parameter::{made, refused};
use super::{Affine, Defence, DefenceEntry, LabelledVolume};
use crate::EvalError;

pub(super) const ENTRY: DefenceEntry = DefenceEntry {
    name: "affine",
    parameter: "largest angle in degrees",
    strengths: &[15.0],
    cheap: true,
    make: |strength| made(strength, |degrees| RandomAffine::new(degrees, SCALE)),
};

/// How much larger or smaller, unless it is said.
const SCALE: f64 = 0.1;

/// [`Affine`] with angles and scale drawn from the seed, uniformly.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RandomAffine {
    degrees: f64,
    scale: f64,
}

impl RandomAffine {
    /// Angles within `-degrees..degrees` about each axis, and a scale within
    /// `1 - scale..1 + scale`. Default: 15 degrees and 0.1.
    ///
    /// # Errors
    /// [`EvalError::Parameter`] if `degrees` is not in 0..=180 or `scale` is not in 0..1.
    pub fn new(degrees: f64, scale: f64) -> Result<Self, EvalError> {
        if !(0.0..=180.0).contains(&degrees) {
            return Err(refused(
                "largest angle of the random affine transform",
                "0 to 180 degrees",
                degrees,
            ));
        }
        if !(0.0..1.0).contains(&scale) {
            return Err(refused(
                "scale range of the random affine transform",
                "0 or more, below 1",
                scale,
            ));
        }
        Ok(Self { degrees, scale })
    }

    /// The transform that belongs to a seed.
    pub fn draw(&self, seed: u64) -> Affine {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut within = |limit: f64| limit * (2.0 * rng.random::<f64>() - 1.0);
        let degrees = [0; 3].map(|_| within(self.degrees));
        let scale = 1.0 + within(self.scale);
        Affine::from_parts(degrees, scale)
    }
}

impl Default for RandomAffine {
    fn default() -> Self {
        Self {
            degrees: 15.0,
            scale: SCALE,
        }
    }
}

impl Defence for RandomAffine {
    fn name(&self) -> &'static str {
        ENTRY.name
    }

    fn strength(&self) -> Option<f64> {
        Some(self.degrees)
    }

    /// The object itself moves, at random.
    fn at_test(&self) -> bool {
        false
    }

    fn apply(&self, volume: &mut LabelledVolume, seed: u64) {
        self.draw(seed).apply(volume);
    }
}
