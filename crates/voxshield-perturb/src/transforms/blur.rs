use burn::tensor::Tensor;
use rand::Rng;
use voxshield_kernels::{AxisMap, map_axes};

use super::family::{Change, uniform};

/// A Gaussian blur, the same along every axis.
pub(super) struct Blur {
    /// Voxels.
    sigma: f64,
}

impl Blur {
    pub(super) fn draw(rng: &mut impl Rng) -> Self {
        Self {
            sigma: uniform(rng, 0.5, 1.5),
        }
    }
}

impl Change for Blur {
    fn image(&self, x: Tensor<5>) -> Tensor<5> {
        let [_, _, depth, height, width] = x.dims();
        let gaussian = |n| AxisMap::gaussian(n, self.sigma).expect("a sigma of about a voxel");
        let maps = [depth, height, width].map(|n| Some(gaussian(n)));
        map_axes(x, &maps).expect("maps of the image's own lengths")
    }
}
