use super::parameter::{made_whole, within};
use super::{Defence, DefenceEntry, LabelledVolume};
use crate::EvalError;
use crate::sampling::lines;

pub(super) const ENTRY: DefenceEntry = DefenceEntry {
    name: "skip-slices",
    parameter: "every n-th slice is kept",
    strengths: &[2.0],
    cheap: true,
    make: |strength| made_whole(strength, SkipSlices::new),
};

/// Keeps every n-th slice of the image, from the first, and interpolates linearly between them;
/// after the last one that is kept, it continues. The label stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SkipSlices {
    step: usize,
}

impl SkipSlices {
    /// Slices from one that is kept to the next. Default: 2.
    ///
    /// # Errors
    /// [`EvalError::Parameter`] if it is not 2 to 16.
    pub fn new(step: usize) -> Result<Self, EvalError> {
        let step = within("step of the kept slices", "2 to 16 slices", 2..=16, step)?;
        Ok(Self { step })
    }
}

impl Default for SkipSlices {
    fn default() -> Self {
        Self { step: 2 }
    }
}

impl Defence for SkipSlices {
    fn name(&self) -> &'static str {
        ENTRY.name
    }

    fn strength(&self) -> Option<f64> {
        Some(self.step as f64)
    }

    fn apply(&self, volume: &mut LabelledVolume, _seed: u64) {
        let (shape, step) = (volume.grid(), self.step);
        for channel in volume.channels_mut() {
            for (first, stride, length) in lines(shape, 0) {
                let last = (length - 1) / step * step;
                for z in (0..length).filter(|z| z % step != 0) {
                    let below = z / step * step;
                    let above = (below + step).min(last);
                    let [low, high] = [below, above].map(|at| channel[first + at * stride]);
                    let share = (z - below) as f32 / step as f32;
                    channel[first + z * stride] = low + share * (high - low);
                }
            }
        }
    }
}
