use super::low_resolution::{down_and_up, share};
use super::parameter::made;
use super::{Defence, DefenceEntry, LabelledVolume};
use crate::EvalError;

pub(super) const ENTRY: DefenceEntry = DefenceEntry {
    name: "low-resolution-in-plane",
    parameter: "share of the voxels that is kept along height and width",
    strengths: &[0.5],
    cheap: true,
    make: |strength| made(strength, InPlaneResolution::new),
};

/// As [`LowResolution`](super::LowResolution), along height and width only: slices stay apart.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct InPlaneResolution {
    factor: f64,
}

impl InPlaneResolution {
    /// The share of the voxels that is kept along height and width. Default: 0.5.
    ///
    /// # Errors
    /// [`EvalError::Parameter`] if it is not above 0 and at most 1.
    pub fn new(factor: f64) -> Result<Self, EvalError> {
        let factor = share("factor of the in-plane resolution", factor)?;
        Ok(Self { factor })
    }
}

impl Default for InPlaneResolution {
    fn default() -> Self {
        Self { factor: 0.5 }
    }
}

impl Defence for InPlaneResolution {
    fn name(&self) -> &'static str {
        ENTRY.name
    }

    fn strength(&self) -> Option<f64> {
        Some(self.factor)
    }

    fn apply(&self, volume: &mut LabelledVolume, _seed: u64) {
        down_and_up(volume, [1.0, self.factor, self.factor]);
    }
}
