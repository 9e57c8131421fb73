use super::LabelledVolume;
use super::parameter::positive;
use crate::EvalError;
use crate::sampling::{linear, nearest};

/// A rotation and a scaling about the centre, of image (trilinear) and label (nearest voxel).
///
/// An output voxel at `u = (x, y, z)` reads the input at `scale Rz Ry Rx u`, so a scale above 1
/// shrinks the object; outside, the border's value continues. x runs along the width, y along the
/// height, z along the depth, each from -1 to 1 over its axis: as in the published reference, a
/// rotation is one of the index cube, and shears a volume whose axes differ in length.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Affine {
    /// Rows and columns in the order x, y, z.
    matrix: [[f64; 3]; 3],
}

impl Affine {
    /// A transform by its angles about x, y and z, in degrees, and its scale.
    ///
    /// # Errors
    /// [`EvalError::Parameter`] if an angle is not finite or the scale is not a positive number.
    pub fn new(degrees: [f64; 3], scale: f64) -> Result<Self, EvalError> {
        let scale = positive("scale of the affine transform", scale)?;
        if degrees.iter().all(|angle| angle.is_finite()) {
            Ok(Self::from_parts(degrees, scale))
        } else {
            Err(EvalError::Parameter {
                what: "angles of the affine transform",
                expected: "three finite numbers of degrees",
                found: format!("{degrees:?}"),
            })
        }
    }

    pub(super) fn from_parts(degrees: [f64; 3], scale: f64) -> Self {
        let [(sx, cx), (sy, cy), (sz, cz)] = degrees.map(|angle| angle.to_radians().sin_cos());
        let rotation = [
            [cz * cy, cz * sy * sx - sz * cx, cz * sy * cx + sz * sx],
            [sz * cy, sz * sy * sx + cz * cx, sz * sy * cx - cz * sx],
            [-sy, cy * sx, cy * cx],
        ];
        Self {
            matrix: rotation.map(|row| row.map(|value| scale * value)),
        }
    }

    /// The matrix from output to input coordinates, rows and columns in the order x, y, z.
    pub fn matrix(&self) -> [[f64; 3]; 3] {
        self.matrix
    }

    /// Transforms image and label in place.
    pub fn apply(&self, volume: &mut LabelledVolume) {
        let shape = volume.grid();
        for channel in volume.channels_mut() {
            let source = channel.to_vec();
            for (value, at) in channel.iter_mut().zip(self.positions(shape)) {
                *value = linear(&source, shape, at);
            }
        }
        let source = volume.label().to_vec();
        for (value, at) in volume.label_mut().iter_mut().zip(self.positions(shape)) {
            // Ties go to the even voxel, as in the reference's library.
            if let Some(from) = nearest(shape, at.map(f32::round_ties_even)) {
                *value = source[from];
            }
        }
    }

    /// Where each output voxel reads, as `[depth, height, width]` indices within the volume.
    fn positions(&self, shape: [usize; 3]) -> impl Iterator<Item = [f32; 3]> {
        let [depth, height, width] = shape;
        (0..depth).flat_map(move |z| {
            (0..height).flat_map(move |y| (0..width).map(move |x| self.position(shape, [z, y, x])))
        })
    }

    fn position(&self, shape: [usize; 3], voxel: [usize; 3]) -> [f32; 3] {
        let centred = |axis: usize| (2 * voxel[axis] + 1) as f64 / shape[axis] as f64 - 1.0;
        let u = [centred(2), centred(1), centred(0)];
        std::array::from_fn(|axis| {
            let row = self.matrix[2 - axis];
            let centred: f64 = row.iter().zip(u).map(|(m, u)| m * u).sum();
            let n = shape[axis] as f64;
            (((centred + 1.0) * n - 1.0) / 2.0).clamp(0.0, n - 1.0) as f32
        })
    }
}
