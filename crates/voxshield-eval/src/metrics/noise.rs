use serde::{Deserialize, Serialize};

use super::{same_length, volumes};
use crate::{EvalError, sampling::lines};

/// How large and how rough a perturbation `n = protected - clean` is, in units of the intensities.
///
/// `l1` and `l2` are means per voxel, channels counted, so that they do not depend on the size of the volume.
/// A voxel of an array `[channel, depth, height, width]` has up to three forward differences
/// `d = n(p + 1) - n(p)`, one per spatial axis; there is none across the border.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct NoiseMetrics {
    /// Mean magnitude, `mean |n|`.
    pub l1: f64,
    /// Root mean square, `sqrt(mean n^2)`.
    pub l2: f64,
    /// Largest magnitude, `max |n|`.
    pub linf: f64,
    /// Total variation per voxel, `sum |d| / number of voxels`, channels counted.
    pub tv: f64,
    /// Root mean square of the differences of all axes, `sqrt(sum d^2 / number of differences)`;
    /// 0 if there is none.
    pub gradient: f64,
}

impl NoiseMetrics {
    /// Measures the difference of two arrays `[channel, depth, height, width]` (a batch axis may
    /// stand before them); `shape` is `[depth, height, width]`.
    ///
    /// # Errors
    /// [`EvalError::Empty`] if an axis has no voxel, [`EvalError::Length`] if an array is not a
    /// whole number of volumes or the two differ.
    pub fn measure(clean: &[f32], protected: &[f32], shape: [usize; 3]) -> Result<Self, EvalError> {
        let volume = volumes("clean array", clean.len(), shape)?;
        same_length("protected array", clean.len(), protected.len())?;
        let noise: Vec<f64> = clean
            .iter()
            .zip(protected)
            .map(|(&c, &p)| f64::from(p) - f64::from(c))
            .collect();
        let (mut absolute, mut squared, mut differences) = (0.0, 0.0, 0u64);
        for volume in noise.chunks_exact(volume) {
            for axis in 0..3 {
                for (first, stride, length) in lines(shape, axis) {
                    for i in 1..length {
                        let d = volume[first + i * stride] - volume[first + (i - 1) * stride];
                        absolute += d.abs();
                        squared += d * d;
                        differences += 1;
                    }
                }
            }
        }
        let count = noise.len() as f64;
        Ok(Self {
            l1: noise.iter().map(|n| n.abs()).sum::<f64>() / count,
            l2: (noise.iter().map(|n| n * n).sum::<f64>() / count).sqrt(),
            linf: noise.iter().fold(0.0, |most, n| n.abs().max(most)),
            tv: absolute / count,
            gradient: (squared / differences.max(1) as f64).sqrt(),
        })
    }
}
