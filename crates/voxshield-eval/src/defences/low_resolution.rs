use super::{Defence, LabelledVolume};
use crate::EvalError;
use crate::sampling::{Interpolation, ratio, resample};

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
        if factor > 0.0 && factor <= 1.0 {
            Ok(Self { factor })
        } else {
            Err(EvalError::Parameter {
                what: "factor of the low resolution",
                expected: "a number above 0 and at most 1",
                found: factor.to_string(),
            })
        }
    }
}

impl Default for LowResolution {
    fn default() -> Self {
        Self { factor: 0.5 }
    }
}

impl Defence for LowResolution {
    fn name(&self) -> &'static str {
        "low-resolution"
    }

    fn apply(&self, volume: &mut LabelledVolume, _seed: u64) {
        let shape = volume.grid();
        let low = shape.map(|n| ((n as f64 * self.factor) as usize).max(1));
        // The given factor, not the ratio of the sizes: that is how the reference's library reads.
        // Where it leaves less than one voxel, the one that stays is the middle of the axis.
        let down = shape.map(|n| (1.0 / self.factor).min(n as f64) as f32);
        let up = ratio(low, shape);
        for channel in volume.channels_mut() {
            let small = resample(channel, shape, low, down, Interpolation::Linear);
            channel.copy_from_slice(&resample(&small, low, shape, up, Interpolation::Linear));
        }
    }
}
