//! Perturbations as int8, the form in which the reference implementation keeps them.

use ndarray::{Array4, ArrayView4};

use crate::error::DataError;

/// The largest quantised value; -128 is not used, so that the range is symmetric.
const LARGEST: f32 = 127.0;

/// An int8 code for perturbations within +-epsilon: 127 is epsilon.
///
/// Formula: `scale = epsilon / 127`, `q = clamp(round(x / scale), -127, 127)` with halves to even, `x' = q * scale`; `|x' - x| <= scale / 2` up to f32 rounding for `|x| <= epsilon`. The arithmetic is f32, with `scale`
/// rounded to f32 first: near halves the result depends on that, and the published artefacts were made so.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Int8Code {
    scale: f32,
}

impl Int8Code {
    /// The code for a bound in normalised units.
    ///
    /// # Errors
    /// [`DataError::InvalidEpsilon`] unless `0 < epsilon <= 1`.
    pub fn new(epsilon: f64) -> Result<Self, DataError> {
        if !(epsilon > 0.0 && epsilon <= 1.0) {
            return Err(DataError::InvalidEpsilon { epsilon });
        }
        Ok(Self {
            scale: (epsilon / f64::from(LARGEST)) as f32,
        })
    }

    /// Normalised units per step.
    #[must_use]
    pub fn scale(&self) -> f32 {
        self.scale
    }

    /// Codes a perturbation `[channel, depth, height, width]` in normalised units; beyond +-epsilon it is clamped.
    ///
    /// # Errors
    /// [`DataError::NonFiniteDelta`] for a NaN or infinity.
    pub fn quantise(&self, delta: ArrayView4<'_, f32>) -> Result<Array4<i8>, DataError> {
        let bad = delta.indexed_iter().find(|(_, v)| !v.is_finite());
        if let Some(((channel, depth, height, width), &value)) = bad {
            return Err(DataError::NonFiniteDelta {
                index: [channel, depth, height, width],
                value,
            });
        }
        Ok(delta.mapv(|x| {
            let steps = (x / self.scale).round_ties_even();
            steps.clamp(-LARGEST, LARGEST) as i8
        }))
    }

    /// The perturbation that codes stand for, in normalised units.
    #[must_use]
    pub fn dequantise(&self, codes: ArrayView4<'_, i8>) -> Array4<f32> {
        codes.mapv(|code| f32::from(code) * self.scale)
    }
}
