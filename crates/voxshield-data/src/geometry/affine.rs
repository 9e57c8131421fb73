//! Affine transforms.

/// A 4x4 affine transform, row-major f64, from voxel index to RAS+ millimetres (x to the patient's right, y anterior, z
/// superior). The last row is (0, 0, 0, 1).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Affine([[f64; 4]; 4]);

impl Affine {
    /// From rows.
    #[must_use]
    pub fn new(rows: [[f64; 4]; 4]) -> Self {
        Self(rows)
    }

    /// Axes along x, y and z with a spacing in mm, origin at (0, 0, 0).
    #[must_use]
    pub fn from_spacing(spacing: [f64; 3]) -> Self {
        let [x, y, z] = spacing;
        Self([
            [x, 0.0, 0.0, 0.0],
            [0.0, y, 0.0, 0.0],
            [0.0, 0.0, z, 0.0],
            [0.0, 0.0, 0.0, 1.0],
        ])
    }

    /// The rows.
    #[must_use]
    pub fn rows(&self) -> [[f64; 4]; 4] {
        self.0
    }

    /// The upper left 3x3 part.
    #[must_use]
    pub fn linear(&self) -> [[f64; 3]; 3] {
        let [x, y, z, _] = self.0;
        [x, y, z].map(|[a, b, c, _]| [a, b, c])
    }

    /// World position in mm of a (fractional) voxel index.
    #[must_use]
    pub fn apply(&self, index: [f64; 3]) -> [f64; 3] {
        let [x, y, z, _] = self.0;
        [x, y, z].map(|[a, b, c, offset]| a * index[0] + b * index[1] + c * index[2] + offset)
    }

    /// Voxel spacing in mm of each index axis: the lengths of the columns.
    #[must_use]
    pub fn column_norms(&self) -> [f64; 3] {
        let rows = self.linear();
        [0, 1, 2].map(|column| {
            rows.iter()
                .map(|row| row[column] * row[column])
                .sum::<f64>()
                .sqrt()
        })
    }

    /// Determinant of the linear part: the voxel volume in mm^3, negative for left-handed axes.
    #[must_use]
    pub fn determinant(&self) -> f64 {
        determinant(&self.linear())
    }

    /// Whether all entries are finite and the voxel axes span the space.
    #[must_use]
    pub fn is_invertible(&self) -> bool {
        let volume: f64 = self.column_norms().iter().product();
        self.0.iter().flatten().all(|value| value.is_finite())
            && volume > 0.0
            && self.determinant().abs() > volume * 1e-9
    }

    /// Largest difference of any two entries.
    #[must_use]
    pub fn max_abs_difference(&self, other: &Self) -> f64 {
        let pairs = self.0.iter().flatten().zip(other.0.iter().flatten());
        pairs.fold(0.0, |largest, (a, b)| largest.max((a - b).abs()))
    }

    /// Largest distance in mm between the places that two affines give to the corners of a volume of `shape` voxels.
    #[must_use]
    pub fn max_corner_distance(&self, other: &Self, shape: [usize; 3]) -> f64 {
        (0..8).fold(0.0, |largest: f64, corner| {
            let index = [0, 1, 2].map(|axis| {
                if corner >> axis & 1 == 1 {
                    shape[axis].saturating_sub(1) as f64
                } else {
                    0.0
                }
            });
            let (a, b) = (self.apply(index), other.apply(index));
            let squared: f64 = a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum();
            largest.max(squared.sqrt())
        })
    }
}

pub(super) fn determinant(m: &[[f64; 3]; 3]) -> f64 {
    let [[a, b, c], [d, e, f], [g, h, i]] = *m;
    a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)
}

/// Transpose of the inverse: the cofactors over the determinant.
pub(super) fn inverse_transpose(m: &[[f64; 3]; 3]) -> [[f64; 3]; 3] {
    let [[a, b, c], [d, e, f], [g, h, i]] = *m;
    let scale = 1.0 / determinant(m);
    [
        [e * i - f * h, f * g - d * i, d * h - e * g],
        [c * h - b * i, a * i - c * g, b * g - a * h],
        [b * f - c * e, c * d - a * f, a * e - b * d],
    ]
    .map(|row| row.map(|value| value * scale))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn apply_norms_and_determinant() {
        let affine = Affine::new([
            [0.0, -2.0, 0.0, 10.0],
            [3.0, 0.0, 0.0, 20.0],
            [0.0, 0.0, 0.5, 30.0],
            [0.0, 0.0, 0.0, 1.0],
        ]);
        assert_eq!(affine.apply([1.0, 2.0, 4.0]), [6.0, 23.0, 32.0]);
        assert_eq!(affine.column_norms(), [3.0, 2.0, 0.5]);
        assert_eq!(affine.determinant(), 3.0);
        assert!(affine.is_invertible());
    }

    #[test]
    fn flat_and_infinite_affines_are_not_invertible() {
        assert!(!Affine::from_spacing([1.0, 0.0, 1.0]).is_invertible());
        assert!(!Affine::from_spacing([1.0, f64::NAN, 1.0]).is_invertible());
        let mut rows = Affine::from_spacing([1.0; 3]).rows();
        rows[1] = rows[0];
        assert!(!Affine::new(rows).is_invertible());
        // Tiny voxels are legal.
        assert!(Affine::from_spacing([1e-6; 3]).is_invertible());
    }

    #[test]
    fn corner_distance_grows_with_the_volume() {
        let a = Affine::from_spacing([1.0; 3]);
        let b = Affine::from_spacing([1.0, 1.01, 1.0]);
        assert!((a.max_corner_distance(&b, [11, 101, 7]) - 1.0).abs() < 1e-9);
        assert!((a.max_abs_difference(&b) - 0.01).abs() < 1e-12);
    }

    #[test]
    fn inverse_transpose_times_transpose_is_identity() {
        let m = [[2.0, 0.5, -1.0], [0.0, 3.0, 0.25], [1.0, -0.5, 1.5]];
        let inverse = inverse_transpose(&m);
        for (p, row) in inverse.iter().enumerate() {
            for (q, other) in m.iter().enumerate() {
                let dot: f64 = row.iter().zip(other).map(|(a, b)| a * b).sum();
                assert!((dot - f64::from(u8::from(p == q))).abs() < 1e-12);
            }
        }
    }
}
