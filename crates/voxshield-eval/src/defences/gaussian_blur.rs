use super::parameter::{made, within};
use super::{Defence, DefenceEntry, LabelledVolume};
use crate::EvalError;
use crate::sampling::{Border, filter, gaussian};

pub(super) const ENTRY: DefenceEntry = DefenceEntry {
    name: "gaussian-blur",
    parameter: "sigma in voxels",
    strengths: &[0.5, 1.0, 2.0],
    cheap: true,
    make: |strength| made(strength, GaussianBlur::new),
};

/// Gaussian blur of the image, `exp(-i^2 / (2 sigma^2))` along every axis; the label stays.
///
/// The kernel has `ceil(6 sigma)` taps, one more if that is even, and sums to 1. Outside the volume
/// there are zeros, as in the published reference: the border darkens.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GaussianBlur {
    sigma: f64,
}

impl GaussianBlur {
    /// `sigma` in voxels. Default: 1.
    ///
    /// # Errors
    /// [`EvalError::Parameter`] if it is not in 0.01..=100: less changes nothing, more leaves
    /// nothing.
    pub fn new(sigma: f64) -> Result<Self, EvalError> {
        let what = "sigma of the Gaussian blur";
        let sigma = within(what, "0.01 to 100 voxels", 0.01..=100.0, sigma)?;
        Ok(Self { sigma })
    }
}

impl Default for GaussianBlur {
    fn default() -> Self {
        Self { sigma: 1.0 }
    }
}

impl Defence for GaussianBlur {
    fn name(&self) -> &'static str {
        ENTRY.name
    }

    fn strength(&self) -> Option<f64> {
        Some(self.sigma)
    }

    fn apply(&self, volume: &mut LabelledVolume, _seed: u64) {
        let shape = volume.grid();
        let radius = (6.0 * self.sigma).ceil() as usize / 2;
        let kernel = gaussian(self.sigma as f32, radius);
        for channel in volume.channels_mut() {
            (0..3).for_each(|axis| filter(channel, shape, axis, &kernel, Border::Zero));
        }
    }
}
