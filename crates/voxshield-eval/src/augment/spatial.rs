use voxshield_perturb::Patch;

use crate::sampling::{linear, lines, nearest};

pub(super) fn mirror<T>(values: &mut [T], shape: [usize; 3], axis: usize) {
    for (first, stride, length) in lines(shape, axis) {
        for i in 0..length / 2 {
            values.swap(first + i * stride, first + (length - 1 - i) * stride);
        }
    }
}

/// The patch of `shape` in the middle of `source`, rotated and with its content `scale` times smaller.
pub(super) fn spatial(
    source: &Patch,
    shape: [usize; 3],
    margin: [usize; 3],
    angles: [f32; 3],
    scale: f32,
) -> Patch {
    let outer = [0, 1, 2].map(|axis| shape[axis] + 2 * margin[axis]);
    let voxels: usize = outer.iter().product();
    let channels = source.image.len() / voxels.max(1);
    let inner: usize = shape.iter().product();
    let centre = outer.map(|n| (n as f32 - 1.0) / 2.0);
    let moved = scale != 1.0 || angles != [0.0; 3];
    let mut patch = Patch {
        image: vec![0.0; channels * inner],
        labels: vec![0; inner],
        support: vec![0.0; inner],
    };
    let mut index = 0;
    for z in 0..shape[0] {
        for y in 0..shape[1] {
            for x in 0..shape[2] {
                let at = [z + margin[0], y + margin[1], x + margin[2]];
                let at = match moved {
                    true => turned(at, centre, angles, scale),
                    false => at.map(|i| i as f32),
                };
                if let Some(from) = nearest(outer, at) {
                    patch.labels[index] = source.labels[from];
                    patch.support[index] = source.support[from];
                    for (channel, values) in source.image.chunks(voxels).enumerate() {
                        patch.image[channel * inner + index] = match moved {
                            true => linear(values, outer, at),
                            false => values[from],
                        };
                    }
                }
                index += 1;
            }
        }
    }
    patch
}

/// Where the voxel at `at` is read.
fn turned(at: [usize; 3], centre: [f32; 3], angles: [f32; 3], scale: f32) -> [f32; 3] {
    let mut p: [f32; 3] = std::array::from_fn(|a| (at[a] as f32 - centre[a]) * scale);
    for (axis, angle) in angles.iter().enumerate() {
        let (i, j) = ((axis + 1) % 3, (axis + 2) % 3);
        let (sin, cos) = angle.sin_cos();
        (p[i], p[j]) = (cos * p[i] - sin * p[j], sin * p[i] + cos * p[j]);
    }
    std::array::from_fn(|a| p[a] + centre[a])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::augment::augmentation_margin;
    use crate::augment::draw::{LARGEST_ANGLE, LARGEST_SCALE};

    #[test]
    fn the_identity_transform_and_two_mirrors_change_nothing() {
        let shape = [6, 7, 8];
        let original = Patch {
            image: (0..336).map(|i| (i as f32 * 0.7).sin()).collect(),
            labels: (0..336).map(|i| i % 3).collect(),
            support: (0..336).map(|i| (i % 3) as f32).collect(),
        };
        let mut moved = spatial(&original, shape, [0; 3], [0.0; 3], 1.0);
        assert_eq!(moved.labels, original.labels);
        assert_eq!(moved.image, original.image);
        // By a hair: the same through interpolation.
        let turned = spatial(&original, shape, [0; 3], [1e-7; 3], 1.0);
        let pairs = turned.image.iter().zip(&original.image);
        assert!(pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max) < 1e-4);
        for axis in 0..3 {
            mirror(&mut moved.labels, shape, axis);
            assert_ne!(moved.labels, original.labels);
            mirror(&mut moved.labels, shape, axis);
            assert_eq!(moved.labels, original.labels);
        }
    }

    #[test]
    fn a_quarter_turn_moves_labels_and_image_together() {
        let shape = [5, 5, 5];
        let mut values = vec![0.0; 125];
        values[2 * 25 + 5 + 2] = 1.0;
        let patch = Patch {
            labels: values.iter().map(|&v| v as i32).collect(),
            support: values.clone(),
            image: values,
        };
        let angles = [std::f32::consts::FRAC_PI_2, 0.0, 0.0];
        let patch = spatial(&patch, shape, [0; 3], angles, 1.0);
        let label = patch.labels.iter().position(|&l| l == 1).unwrap();
        assert_ne!(label, 2 * 25 + 5 + 2);
        assert!(patch.image[label] > 0.99);
    }

    /// A patch that is made smaller, or turned, shows what lies about it and neither copies of its border nor a label without its
    /// image.
    #[test]
    fn what_comes_in_at_the_border_is_the_margin() {
        let shape = [8; 3];
        let margin = augmentation_margin(shape);
        assert_eq!(margin, [4; 3], "1.4 (cos 30 + sin 30) 8 = 15.3");
        let side = 8 + 2 * margin[0];
        let voxels = side * side * side;
        let patch = Patch {
            image: vec![1.0; voxels],
            labels: vec![2; voxels],
            support: vec![1.0; voxels],
        };
        let smaller = spatial(&patch, shape, margin, [0.0; 3], LARGEST_SCALE);
        assert!(smaller.labels.iter().all(|&label| label == 2));
        let without = Patch {
            image: vec![1.0; 512],
            labels: vec![2; 512],
            support: vec![1.0; 512],
        };
        let angles = [LARGEST_ANGLE, 0.0, 0.0];
        let turned = spatial(&without, shape, [0; 3], angles, 1.2);
        assert!(turned.labels.contains(&0));
        for (value, label) in turned.image.iter().zip(&turned.labels) {
            assert_eq!(*value == 0.0, *label == 0);
        }
    }

    #[test]
    fn a_scale_above_one_makes_the_content_smaller_by_its_cube() {
        let shape = [24, 25, 26];
        let margin = augmentation_margin(shape);
        let outer = [0, 1, 2].map(|axis| shape[axis] + 2 * margin[axis]);
        let [_, height, width] = outer;
        let voxels: usize = outer.iter().product();
        let inside = |i: usize| {
            let at = [i / (height * width), i / width % height, i % width];
            let squares = [0, 1, 2].map(|a| (at[a] as f32 - (outer[a] as f32 - 1.0) / 2.0).powi(2));
            squares.iter().sum::<f32>() <= 64.0
        };
        let ball = Patch {
            image: vec![0.0; voxels],
            labels: (0..voxels).map(|i| i32::from(inside(i))).collect(),
            support: vec![1.0; voxels],
        };
        let size = |patch: &Patch| patch.labels.iter().sum::<i32>() as f32;
        for scale in [LARGEST_SCALE, 0.7] {
            let found = size(&spatial(&ball, shape, margin, [0.0; 3], scale)) / size(&ball);
            let expected = scale.powi(-3);
            assert!((found / expected - 1.0).abs() < 0.1, "{scale}: {found}");
        }
    }
}
