use burn::tensor::{Device, Int, Tensor};
use rand::Rng;

use super::family::{Change, uniform};

/// A rotation and a scaling about the middle of the patch: output voxel `p` takes its value at `matrix (p - middle) + middle`, by
/// linear interpolation (labels: the nearest voxel). The border is replicated.
pub(super) struct Affine {
    matrix: [[f64; 3]; 3],
}

impl Affine {
    pub(super) fn draw(rng: &mut impl Rng) -> Self {
        let most = 15f64.to_radians();
        let angles = [(); 3].map(|()| uniform(rng, -most, most));
        Self::new(angles, uniform(rng, 0.85, 1.18))
    }

    /// `angles` in radians about depth, height and width, one after the other.
    fn new(angles: [f64; 3], zoom: f64) -> Self {
        let mut matrix = [[0.0; 3]; 3];
        for (axis, row) in matrix.iter_mut().enumerate() {
            row[axis] = 1.0 / zoom;
        }
        for (axis, angle) in angles.into_iter().enumerate() {
            let (i, j) = ((axis + 1) % 3, (axis + 2) % 3);
            let (sin, cos) = angle.sin_cos();
            let (a, b) = (matrix[i], matrix[j]);
            for column in 0..3 {
                matrix[i][column] = cos * a[column] - sin * b[column];
                matrix[j][column] = sin * a[column] + cos * b[column];
            }
        }
        Self { matrix }
    }

    /// Where each output voxel takes its value on one axis, `[depth * height * width]` in voxels, inside the volume.
    fn places(&self, axis: usize, shape: [usize; 3], device: &Device) -> Tensor<1> {
        let middle = shape.map(|n| (n as f64 - 1.0) / 2.0);
        let along = |other: usize| {
            let mut dims = [1; 3];
            dims[other] = shape[other];
            let line = Tensor::<1, Int>::arange(0..shape[other] as i64, device).float();
            ((line - middle[other]) * self.matrix[axis][other]).reshape(dims)
        };
        let [depth, height, width] = shape;
        let sum: Tensor<3> = along(0) + along(1) + along(2) + middle[axis];
        sum.clamp(0.0, shape[axis] as f64 - 1.0)
            .reshape([depth * height * width])
    }
}

/// The index of a voxel in a volume of `shape`, from one tensor an axis.
fn index(at: [Tensor<1, Int>; 3], shape: [usize; 3]) -> Tensor<1, Int> {
    let [z, y, x] = at;
    (z * shape[1] as i64 + y) * shape[2] as i64 + x
}

impl Change for Affine {
    fn image(&self, x: Tensor<5>) -> Tensor<5> {
        let [batch, channels, depth, height, width] = x.dims();
        let shape = [depth, height, width];
        let device = x.device();
        // The two neighbours on each axis, with their weights.
        let neighbours = [0, 1, 2].map(|axis| {
            let place = self.places(axis, shape, &device);
            let below = place.clone().floor();
            let share = place - below.clone();
            let below = below.int();
            let above = (below.clone() + 1).clamp_max(shape[axis] as i64 - 1);
            [(below, share.clone().neg() + 1.0), (above, share)]
        });
        let values = x.reshape([batch * channels, depth * height * width]);
        let mut sum: Option<Tensor<2>> = None;
        for corner in 0..8 {
            let chosen = [0, 1, 2].map(|axis| neighbours[axis][corner >> axis & 1].clone());
            let [z, y, x] = chosen.clone().map(|(at, _)| at);
            let [a, b, c] = chosen.map(|(_, weight)| weight);
            let weight = (a * b * c).unsqueeze::<2>();
            let part = values.clone().select(1, index([z, y, x], shape)) * weight;
            sum = Some(match sum {
                None => part,
                Some(sum) => sum + part,
            });
        }
        sum.unwrap_or(values)
            .reshape([batch, channels, depth, height, width])
    }

    fn labels(&self, y: Tensor<4, Int>) -> Tensor<4, Int> {
        let [batch, depth, height, width] = y.dims();
        let shape = [depth, height, width];
        let device = y.device();
        let nearest = [0, 1, 2].map(|axis| self.places(axis, shape, &device).round().int());
        y.reshape([batch, depth * height * width])
            .select(1, index(nearest, shape))
            .reshape([batch, depth, height, width])
    }
}
