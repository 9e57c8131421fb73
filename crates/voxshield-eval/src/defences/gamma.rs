use super::parameter::{made, positive};
use super::{Defence, DefenceEntry, LabelledVolume};
use crate::EvalError;

pub(super) const ENTRY: DefenceEntry = DefenceEntry {
    name: "gamma",
    parameter: "exponent",
    strengths: &[0.7, 1.5],
    cheap: true,
    make: |strength| made(strength, Gamma::new),
};

/// Gamma correction of the image, `max(x, 0)^gamma`; the label stays.
///
/// Values above 1 are not cut.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Gamma {
    gamma: f64,
}

impl Gamma {
    /// Above 1 darkens values in 0..1, below 1 brightens them. Default: 1.5.
    ///
    /// # Errors
    /// [`EvalError::Parameter`] if it is not a positive number.
    pub fn new(gamma: f64) -> Result<Self, EvalError> {
        let gamma = positive("gamma", gamma)?;
        Ok(Self { gamma })
    }
}

impl Default for Gamma {
    fn default() -> Self {
        Self { gamma: 1.5 }
    }
}

impl Defence for Gamma {
    fn name(&self) -> &'static str {
        ENTRY.name
    }

    fn strength(&self) -> Option<f64> {
        Some(self.gamma)
    }

    fn apply(&self, volume: &mut LabelledVolume, _seed: u64) {
        let gamma = self.gamma as f32;
        for channel in volume.channels_mut() {
            for value in channel {
                *value = value.max(0.0).powf(gamma);
            }
        }
    }
}
