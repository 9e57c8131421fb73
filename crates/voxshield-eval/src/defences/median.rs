use super::parameter::{made_whole, odd_window};
use super::{Defence, DefenceEntry, LabelledVolume};
use crate::EvalError;

pub(super) const ENTRY: DefenceEntry = DefenceEntry {
    name: "median",
    parameter: "voxels along every axis, odd",
    strengths: &[3.0],
    cheap: true,
    make: |strength| made_whole(strength, Median::new),
};

/// Median of a cube around every voxel of the image; the border's value continues outside. The
/// label stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Median {
    window: usize,
}

impl Median {
    /// The edge of the cube in voxels. Default: 3.
    ///
    /// # Errors
    /// [`EvalError::Parameter`] if it is not an odd number from 3 to 15.
    pub fn new(window: usize) -> Result<Self, EvalError> {
        let window = odd_window("window of the median", window)?;
        Ok(Self { window })
    }
}

impl Default for Median {
    fn default() -> Self {
        Self { window: 3 }
    }
}

impl Defence for Median {
    fn name(&self) -> &'static str {
        ENTRY.name
    }

    fn strength(&self) -> Option<f64> {
        Some(self.window as f64)
    }

    fn apply(&self, volume: &mut LabelledVolume, _seed: u64) {
        let shape = volume.grid();
        for channel in volume.channels_mut() {
            channel.copy_from_slice(&median(channel, shape, [self.window; 3]));
        }
    }
}

/// Medians over odd `windows` `[depth, height, width]`; the border's value continues outside.
pub(super) fn median(values: &[f32], shape: [usize; 3], windows: [usize; 3]) -> Vec<f32> {
    let [_, height, width] = shape;
    let around = |axis: usize, at: usize| {
        let radius = windows[axis] / 2;
        (0..windows[axis]).map(move |i| (at + i).saturating_sub(radius).min(shape[axis] - 1))
    };
    let mut window = Vec::with_capacity(windows.iter().product());
    let mut out = Vec::with_capacity(values.len());
    for voxel in 0..values.len() {
        let [z, y, x] = [
            voxel / (height * width),
            voxel / width % height,
            voxel % width,
        ];
        window.clear();
        for z in around(0, z) {
            for y in around(1, y) {
                let row = (z * height + y) * width;
                window.extend(around(2, x).map(|x| values[row + x]));
            }
        }
        let middle = window.len() / 2;
        out.push(*window.select_nth_unstable_by(middle, f32::total_cmp).1);
    }
    out
}
