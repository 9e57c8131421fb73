use burn::tensor::Tensor;
use rand::{Rng, RngExt};
use voxshield_kernels::{AxisMap, map_axes};

use super::family::Change;

/// Each slice becomes the mean of itself and the next ones.
pub(super) struct DepthMean {
    slices: usize,
}

impl DepthMean {
    pub(super) fn draw(rng: &mut impl Rng) -> Self {
        Self {
            slices: rng.random_range(2..=3),
        }
    }
}

impl Change for DepthMean {
    fn image(&self, x: Tensor<5>) -> Tensor<5> {
        let depth = x.dims()[2];
        let weight = 1.0 / self.slices as f32;
        // Three slices are centred, two begin with the slice itself.
        let first = self.slices as i64 / 2 - (self.slices as i64 + 1) % 2;
        let map = AxisMap::from_rows(depth, depth, |z, add| {
            for slice in 0..self.slices as i64 {
                add(z as i64 + slice - first, weight);
            }
        });
        map_axes(x, &[Some(map), None, None]).expect("a map of the image's own depth")
    }
}
