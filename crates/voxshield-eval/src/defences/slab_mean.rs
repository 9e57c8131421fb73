use super::parameter::{made_whole, within};
use super::{Defence, DefenceEntry, LabelledVolume};
use crate::EvalError;
use crate::sampling::lines;

pub(super) const ENTRY: DefenceEntry = DefenceEntry {
    name: "slab-mean",
    parameter: "slices",
    strengths: &[2.0, 3.0],
    cheap: true,
    make: |strength| made_whole(strength, SlabMean::new),
};

/// Every slice of the image becomes the mean of a slab of slices, as in thick-slice reconstruction;
/// the label stays.
///
/// Slice `z` is the mean of the slices `z - floor(n / 2)` to `z + ceil(n / 2) - 1`; the border's
/// slice continues outside. An even slab therefore moves the image by half a slice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlabMean {
    slices: usize,
}

impl SlabMean {
    /// Slices in a slab. Default: 2.
    ///
    /// # Errors
    /// [`EvalError::Parameter`] if it is not 2 to 16.
    pub fn new(slices: usize) -> Result<Self, EvalError> {
        let slices = within("slices of the slab mean", "2 to 16 slices", 2..=16, slices)?;
        Ok(Self { slices })
    }
}

impl Default for SlabMean {
    fn default() -> Self {
        Self { slices: 2 }
    }
}

impl Defence for SlabMean {
    fn name(&self) -> &'static str {
        ENTRY.name
    }

    fn strength(&self) -> Option<f64> {
        Some(self.slices as f64)
    }

    fn apply(&self, volume: &mut LabelledVolume, _seed: u64) {
        let (shape, n) = (volume.grid(), self.slices);
        for channel in volume.channels_mut() {
            let source = channel.to_vec();
            for (first, stride, length) in lines(shape, 0) {
                for z in 0..length {
                    let slab = (z..z + n).map(|at| at.saturating_sub(n / 2).min(length - 1));
                    let sum: f32 = slab.map(|at| source[first + at * stride]).sum();
                    channel[first + z * stride] = sum / n as f32;
                }
            }
        }
    }
}
