use super::parameter::{made, refused};
use super::{Defence, DefenceEntry, LabelledVolume};
use crate::EvalError;
use crate::sampling::{Interpolation, ratio, resample};

pub(super) const ENTRY: DefenceEntry = DefenceEntry {
    name: "low-resolution",
    parameter: "share of the voxels that is kept along each axis",
    strengths: &[0.5],
    cheap: true,
    make: |strength| made(strength, LowResolution::new),
};

/// A lower resolution and back, trilinear both ways; the label stays.
///
/// Down: `floor(n factor)` voxels an axis (at least one), voxel `i` reads the image at
/// `(i + 0.5) / factor - 0.5`. Up: the same formula with the ratio of the two sizes. Positions
/// outside read the border. There is no smoothing before, as in the published reference.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LowResolution {
    factor: f64,
}

impl LowResolution {
    /// The share of the voxels that is kept along each axis. Default: 0.5.
    ///
    /// # Errors
    /// [`EvalError::Parameter`] if it is not above 0 and at most 1.
    pub fn new(factor: f64) -> Result<Self, EvalError> {
        let factor = share("factor of the low resolution", factor)?;
        Ok(Self { factor })
    }
}

impl Default for LowResolution {
    fn default() -> Self {
        Self { factor: 0.5 }
    }
}

impl Defence for LowResolution {
    fn name(&self) -> &'static str {
        ENTRY.name
    }

    fn strength(&self) -> Option<f64> {
        Some(self.factor)
    }

    fn apply(&self, volume: &mut LabelledVolume, _seed: u64) {
        down_and_up(volume, [self.factor; 3]);
    }
}

/// A share above 0 and at most 1.
pub(super) fn share(what: &'static str, factor: f64) -> Result<f64, EvalError> {
    if factor > 0.0 && factor <= 1.0 {
        Ok(factor)
    } else {
        Err(refused(what, "a number above 0 and at most 1", factor))
    }
}

/// Resamples the image to `factors` `[depth, height, width]` of its voxels and back.
pub(super) fn down_and_up(volume: &mut LabelledVolume, factors: [f64; 3]) {
    let shape = volume.grid();

    let low: [usize; 3] = std::array::from_fn(|a| ((shape[a] as f64 * factors[a]) as usize).max(1));
    // The given factor, not the ratio of the sizes: that is how the reference's library reads.
    // Where it leaves less than one voxel, the one that stays is the middle of the axis.
    let down = std::array::from_fn(|a| (1.0 / factors[a]).min(shape[a] as f64) as f32);
    let up = ratio(low, shape);
    for channel in volume.channels_mut() {
        let small = resample(channel, shape, low, down, Interpolation::Linear);
        channel.copy_from_slice(&resample(&small, low, shape, up, Interpolation::Linear));
    }
}
