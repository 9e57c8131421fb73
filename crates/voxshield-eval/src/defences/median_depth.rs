use super::median::median;
use super::parameter::{made_whole, odd_window};
use super::{Defence, DefenceEntry, LabelledVolume};
use crate::EvalError;

pub(super) const ENTRY: DefenceEntry = DefenceEntry {
    name: "median-z",
    parameter: "slices, odd",
    strengths: &[3.0, 5.0],
    cheap: true,
    make: |strength| made_whole(strength, MedianDepth::new),
};

/// Median along the depth, slice against neighbouring slices; the border's value continues outside.
/// The label stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MedianDepth {
    window: usize,
}

impl MedianDepth {
    /// Slices in the window. Default: 3.
    ///
    /// # Errors
    /// [`EvalError::Parameter`] if it is not an odd number from 3 to 15.
    pub fn new(window: usize) -> Result<Self, EvalError> {
        let window = odd_window("window of the median along the depth", window)?;
        Ok(Self { window })
    }
}

impl Default for MedianDepth {
    fn default() -> Self {
        Self { window: 3 }
    }
}

impl Defence for MedianDepth {
    fn name(&self) -> &'static str {
        ENTRY.name
    }

    fn strength(&self) -> Option<f64> {
        Some(self.window as f64)
    }

    fn apply(&self, volume: &mut LabelledVolume, _seed: u64) {
        let shape = volume.grid();
        for channel in volume.channels_mut() {
            channel.copy_from_slice(&median(channel, shape, [self.window, 1, 1]));
        }
    }
}
