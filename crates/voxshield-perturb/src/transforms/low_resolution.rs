use burn::tensor::Tensor;
use rand::Rng;
use voxshield_kernels::{AxisMap, map_axes};

use super::family::{Change, uniform};

/// Nearest voxels of a coarser grid over the same extent, and linear interpolation back.
pub(super) struct LowResolution {
    /// Voxels of the coarser grid per voxel and axis.
    factor: f64,
}

impl LowResolution {
    pub(super) fn draw(rng: &mut impl Rng) -> Self {
        Self {
            factor: uniform(rng, 0.5, 1.0),
        }
    }

    /// There and back along an axis of `n` voxels.
    fn map(&self, n: usize) -> AxisMap {
        let coarse = ((n as f64 * self.factor).round() as usize).max(1);
        let ratio = coarse as f64 / n as f64;
        // Voxel centres lie at `index + 1/2` of the extent.
        let nearest = |j: i64| ((j as f64 + 0.5) / ratio - 0.5).round() as i64;
        AxisMap::from_rows(n, n, |i, add| {
            let at = ((i as f64 + 0.5) * ratio - 0.5).clamp(0.0, coarse as f64 - 1.0);
            let below = at.floor() as i64;
            let share = (at - at.floor()) as f32;
            add(nearest(below), 1.0 - share);
            add(nearest((below + 1).min(coarse as i64 - 1)), share);
        })
    }
}

impl Change for LowResolution {
    fn image(&self, x: Tensor<5>) -> Tensor<5> {
        let [_, _, depth, height, width] = x.dims();
        let maps = [depth, height, width].map(|n| Some(self.map(n)));
        map_axes(x, &maps).expect("maps of the image's own lengths")
    }
}
