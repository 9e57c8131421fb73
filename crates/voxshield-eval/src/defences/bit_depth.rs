use super::parameter::{made_whole, within};
use super::{Defence, DefenceEntry, LabelledVolume};
use crate::EvalError;

pub(super) const ENTRY: DefenceEntry = DefenceEntry {
    name: "bit-depth",
    parameter: "bits of a voxel",
    strengths: &[4.0, 6.0, 8.0],
    cheap: true,
    make: |strength| made_whole(strength, BitDepth::new),
};

/// Fewer grey levels, `round(clamp(x, 0, 1) (2^bits - 1)) / (2^bits - 1)`; the label stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BitDepth {
    bits: usize,
}

impl BitDepth {
    /// Bits of a voxel. Default: 4.
    ///
    /// # Errors
    /// [`EvalError::Parameter`] if it is not 1 to 16.
    pub fn new(bits: usize) -> Result<Self, EvalError> {
        let bits = within("bit depth", "1 to 16 bits", 1..=16, bits)?;
        Ok(Self { bits })
    }
}

impl Default for BitDepth {
    fn default() -> Self {
        Self { bits: 4 }
    }
}

impl Defence for BitDepth {
    fn name(&self) -> &'static str {
        ENTRY.name
    }

    fn strength(&self) -> Option<f64> {
        Some(self.bits as f64)
    }

    fn apply(&self, volume: &mut LabelledVolume, _seed: u64) {
        let largest = ((1u32 << self.bits) - 1) as f32;
        for value in volume.channels_mut().flatten() {
            *value = (value.clamp(0.0, 1.0) * largest).round() / largest;
        }
    }
}
