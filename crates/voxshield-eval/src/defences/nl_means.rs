use super::parameter::{made, within};
use super::{Defence, DefenceEntry, LabelledVolume};
use crate::EvalError;
use crate::sampling::{Border, filter};

pub(super) const ENTRY: DefenceEntry = DefenceEntry {
    name: "nl-means",
    parameter: "filter strength h in normalised intensities",
    strengths: &[0.02, 0.05],
    cheap: false,
    make: |strength| made(strength, NonLocalMeans::new),
};

/// Non-local means of every channel in three dimensions (A. Buades, B. Coll and J.-M. Morel, CVPR
/// 2005); the label stays.
///
/// Every voxel becomes the mean of the 5^3 voxels around it with the weights `exp(-d / h^2)`, where
/// `d` is the mean squared difference of the 3^3 patches around the two. The border's value
/// continues outside.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NonLocalMeans {
    h: f64,
}

/// Of the search window; the patches' is 1.
const RADIUS: usize = 2;
/// How far a patch at the end of the search window reaches.
const REACH: usize = RADIUS + 1;

impl NonLocalMeans {
    /// `h` in normalised intensities: patches that differ by less are averaged. Default: 0.05.
    ///
    /// # Errors
    /// [`EvalError::Parameter`] if it is not 1e-4 to 10.
    pub fn new(h: f64) -> Result<Self, EvalError> {
        let h = within(
            "strength h of non-local means",
            "0.0001 to 10",
            1e-4..=10.0,
            h,
        )?;
        Ok(Self { h })
    }
}

impl Default for NonLocalMeans {
    fn default() -> Self {
        Self { h: 0.05 }
    }
}

impl Defence for NonLocalMeans {
    fn name(&self) -> &'static str {
        ENTRY.name
    }

    fn strength(&self) -> Option<f64> {
        Some(self.h)
    }

    fn apply(&self, volume: &mut LabelledVolume, _seed: u64) {
        let shape = volume.grid();
        let scale = (-1.0 / (self.h * self.h)) as f32;
        for channel in volume.channels_mut() {
            let padded = Padded::around(channel, shape);
            let (mut sums, mut weights) = (vec![0f32; channel.len()], vec![0f32; channel.len()]);
            for offset in voxels([2 * RADIUS + 1; 3]) {
                // Patches overlap: one box filter of the squared differences serves all of them.
                let mut distance = padded.squared_differences(offset);
                let extent = shape.map(|n| n + 2);
                (0..3)
                    .for_each(|axis| filter(&mut distance, extent, axis, &[1.0; 3], Border::Zero));
                for (i, [z, y, x]) in voxels(shape).enumerate() {
                    let d = distance[((z + 1) * extent[1] + y + 1) * extent[2] + x + 1];
                    let weight = (scale * d).exp();
                    let at = [z + offset[0] + 1, y + offset[1] + 1, x + offset[2] + 1];
                    sums[i] += weight * padded.value(at);
                    weights[i] += weight;
                }
            }
            for ((value, sum), weight) in channel.iter_mut().zip(sums).zip(weights) {
                *value = sum / weight;
            }
        }
    }
}

/// A channel with its border continued by [`REACH`] voxels.
struct Padded {
    values: Vec<f32>,
    /// Of the channel inside.
    shape: [usize; 3],
}

impl Padded {
    fn around(channel: &[f32], shape: [usize; 3]) -> Self {
        let inside = |at: usize, axis: usize| at.saturating_sub(REACH).min(shape[axis] - 1);
        let values = voxels(shape.map(|n| n + 2 * REACH)).map(|[z, y, x]| {
            channel[(inside(z, 0) * shape[1] + inside(y, 1)) * shape[2] + inside(x, 2)]
        });
        Self {
            values: values.collect(),
            shape,
        }
    }

    fn value(&self, [z, y, x]: [usize; 3]) -> f32 {
        let [_, height, width] = self.shape.map(|n| n + 2 * REACH);
        self.values[(z * height + y) * width + x]
    }

    /// `(x(v) - x(v + offset - RADIUS))^2` over the channel and one voxel around it.
    fn squared_differences(&self, offset: [usize; 3]) -> Vec<f32> {
        voxels(self.shape.map(|n| n + 2))
            .map(|v| {
                let here = v.map(|at| at + RADIUS);
                let there = std::array::from_fn(|axis| v[axis] + offset[axis]);
                (self.value(here) - self.value(there)).powi(2)
            })
            .collect()
    }
}

/// All indices `[depth, height, width]` in C order.
fn voxels([depth, height, width]: [usize; 3]) -> impl Iterator<Item = [usize; 3]> {
    (0..depth).flat_map(move |z| (0..height).flat_map(move |y| (0..width).map(move |x| [z, y, x])))
}
