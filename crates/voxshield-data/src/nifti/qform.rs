//! The quaternion transform of NIfTI, both ways.

use crate::geometry::{Affine, quaternion_rotation};

/// Affine of a quaternion (b, c, d), an offset in mm, a spacing in mm and qfac (-1: the third axis is mirrored).
/// `epsilon` is the rounding of the stored numbers: without it, half a turn (a = 0) would read as a little less.
pub(crate) fn qform_affine(
    quatern: [f64; 3],
    offset: [f64; 3],
    spacing: [f64; 3],
    qfac: f64,
    epsilon: f64,
) -> Affine {
    let rotation = rotation(quatern, 3.0 * epsilon);
    let step = [
        spacing[0],
        spacing[1],
        if qfac == -1.0 {
            -spacing[2]
        } else {
            spacing[2]
        },
    ];
    let row = |axis: usize| {
        let [x, y, z] = rotation[axis];
        [x * step[0], y * step[1], z * step[2], offset[axis]]
    };
    Affine::new([row(0), row(1), row(2), [0.0, 0.0, 0.0, 1.0]])
}

/// Rotation matrix of a unit quaternion given without its first component, which is taken as not negative, and as 0 where its square is
/// within `threshold` of 0 (nibabel's rule).
fn rotation([b, c, d]: [f64; 3], threshold: f64) -> [[f64; 3]; 3] {
    let squared = b * b + c * c + d * d;
    // A careless writer can bring b, c, d above length 1: then too a is 0 and the rest is normalised.
    let (a, b, c, d) = if 1.0 - squared < threshold {
        let length = squared.sqrt();
        (0.0, b / length, c / length, d / length)
    } else {
        ((1.0 - squared).sqrt(), b, c, d)
    };
    quaternion_rotation([a, b, c, d])
}

/// Quaternion (b, c, d) and qfac of an affine; `None` when it shears, which a quaternion cannot say.
pub(crate) fn quaternion_of(affine: &Affine) -> Option<([f64; 3], f64)> {
    let spacing = affine.column_norms();
    if spacing.contains(&0.0) {
        return None;
    }
    let mut r = affine.linear();
    for row in &mut r {
        for (value, norm) in row.iter_mut().zip(spacing) {
            *value /= norm;
        }
    }
    let qfac = if affine.determinant() < 0.0 {
        -1.0
    } else {
        1.0
    };
    for row in &mut r {
        row[2] *= qfac;
    }
    let dot = |p: usize, q: usize| r.iter().map(|row| row[p] * row[q]).sum::<f64>();
    if [dot(0, 1), dot(0, 2), dot(1, 2)]
        .iter()
        .any(|d| d.abs() > 1e-5)
    {
        return None;
    }
    // The largest component is computed first: dividing by a small one would lose digits.
    let [xx, yy, zz] = [r[0][0], r[1][1], r[2][2]];
    let squares = [
        1.0 + xx + yy + zz,
        1.0 + xx - yy - zz,
        1.0 - xx + yy - zz,
        1.0 - xx - yy + zz,
    ];
    let products = [
        [0.0, r[2][1] - r[1][2], r[0][2] - r[2][0], r[1][0] - r[0][1]],
        [r[2][1] - r[1][2], 0.0, r[0][1] + r[1][0], r[0][2] + r[2][0]],
        [r[0][2] - r[2][0], r[0][1] + r[1][0], 0.0, r[1][2] + r[2][1]],
        [r[1][0] - r[0][1], r[0][2] + r[2][0], r[1][2] + r[2][1], 0.0],
    ];
    let (largest, square) = squares
        .iter()
        .enumerate()
        .max_by(|p, q| p.1.total_cmp(q.1))?;
    let root = square.max(0.0).sqrt();
    let mut q = products.get(largest)?.map(|product| 0.5 * product / root);
    *q.get_mut(largest)? = 0.5 * root;
    // (a, b, c, d) and its negative are the same rotation; the stored form needs a >= 0.
    let sign = if q[0] < 0.0 { -1.0 } else { 1.0 };
    Some(([q[1] * sign, q[2] * sign, q[3] * sign], qfac))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quaternion_round_trip() {
        for quatern in [
            [0.0, 0.0, 0.0],
            [0.0, 0.0, 1.0],
            [0.0, 1.0, 0.0],
            [1.0, 0.0, 0.0],
            [0.1, -0.7, 0.3],
            [-0.5, -0.5, -0.5],
        ] {
            for qfac in [1.0, -1.0] {
                let affine = qform_affine(
                    quatern,
                    [5.0, -6.0, 7.0],
                    [0.9, 1.1, 2.5],
                    qfac,
                    f64::EPSILON,
                );
                let (found, found_qfac) = quaternion_of(&affine).unwrap();
                assert_eq!(found_qfac, qfac);
                let again =
                    qform_affine(found, [5.0, -6.0, 7.0], [0.9, 1.1, 2.5], qfac, f64::EPSILON);
                assert!(affine.max_abs_difference(&again) < 1e-7, "{quatern:?}");
            }
        }
    }

    #[test]
    fn shear_has_no_quaternion() {
        let mut rows = Affine::from_spacing([1.0; 3]).rows();
        rows[0][1] = 0.1;
        assert_eq!(quaternion_of(&Affine::new(rows)), None);
    }
}
