use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use voxshield_perturb::Patch;

use crate::sampling::{
    Border, Interpolation, filter, gaussian, linear, lines, nearest, ratio, resample,
};

/// What a victim does to its training patches.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Augmentation {
    /// Nothing: the setting in which the field reports its numbers.
    #[default]
    None,
    /// The kinds and probabilities of nnU-Net's default: rotation and scaling (0.2 each),
    /// Gaussian noise (0.1), blur (0.2), brightness (0.15), contrast (0.15), low resolution
    /// (0.25), gamma of the negative (0.1), gamma (0.3) and mirroring of every axis (0.5).
    NnUnet,
}

/// Augments a patch in place. `shape` is `[depth, height, width]`; the intensities are z-scores.
pub fn augment(patch: &mut Patch, shape: [usize; 3], seed: u64) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let (rotate, scale) = (chance(&mut rng, 0.2), chance(&mut rng, 0.2));
    if rotate || scale {
        let limit = if rotate {
            std::f32::consts::FRAC_PI_6
        } else {
            0.0
        };
        let angles = [0; 3].map(|_| uniform(&mut rng, -limit, limit));
        let zoom = if scale {
            uniform(&mut rng, 0.7, 1.4)
        } else {
            1.0
        };
        spatial(patch, shape, angles, zoom);
    }
    for channel in patch.image.chunks_mut(shape.iter().product()) {
        intensities(channel, shape, &mut rng);
    }
    for axis in 0..3 {
        if chance(&mut rng, 0.5) {
            patch
                .image
                .chunks_mut(shape.iter().product())
                .for_each(|c| mirror(c, shape, axis));
            mirror(&mut patch.labels, shape, axis);
            mirror(&mut patch.support, shape, axis);
        }
    }
}

fn intensities(values: &mut [f32], shape: [usize; 3], rng: &mut ChaCha8Rng) {
    if chance(rng, 0.1) {
        let sd = uniform(rng, 0.0, 0.1).sqrt();
        for v in values.iter_mut() {
            let (a, b): (f32, f32) = (rng.random(), rng.random());
            *v += sd * (-2.0 * (1.0 - a).ln()).sqrt() * (std::f32::consts::TAU * b).cos();
        }
    }
    if chance(rng, 0.2) {
        let sigma = uniform(rng, 0.5, 1.0);
        (0..3).for_each(|axis| blur(values, shape, axis, sigma));
    }
    if chance(rng, 0.15) {
        let factor = uniform(rng, 0.75, 1.25);
        values.iter_mut().for_each(|v| *v *= factor);
    }
    if chance(rng, 0.15) {
        let (factor, mean) = (uniform(rng, 0.75, 1.25), mean(values));
        let (lo, hi) = extent(values);
        values
            .iter_mut()
            .for_each(|v| *v = ((*v - mean) * factor + mean).clamp(lo, hi));
    }
    if chance(rng, 0.25) {
        let factor = uniform(rng, 0.5, 1.0);
        let low = shape.map(|n| ((n as f32 * factor).round() as usize).max(1));
        let (down, up) = (ratio(shape, low), ratio(low, shape));
        let small = resample(values, shape, low, down, Interpolation::Nearest);
        values.copy_from_slice(&resample(&small, low, shape, up, Interpolation::Linear));
    }
    for (probability, inverted) in [(0.1, true), (0.3, false)] {
        if chance(rng, probability) {
            gamma(values, uniform(rng, 0.7, 1.5), inverted);
        }
    }
}

/// `x^gamma` on the range of the values, or on their negatives; mean and deviation stay.
fn gamma(values: &mut [f32], gamma: f32, inverted: bool) {
    let sign = if inverted { -1.0 } else { 1.0 };
    let before = (mean(values), deviation(values));
    values.iter_mut().for_each(|v| *v *= sign);
    let (lo, hi) = extent(values);
    let range = (hi - lo).max(1e-7);
    for v in values.iter_mut() {
        *v = sign * (((*v - lo) / range).max(0.0).powf(gamma) * range + lo);
    }
    let after = (mean(values), deviation(values));
    let scale = before.1 / after.1.max(1e-8);
    values
        .iter_mut()
        .for_each(|v| *v = (*v - after.0) * scale + before.0);
}

fn chance(rng: &mut ChaCha8Rng, p: f32) -> bool {
    rng.random::<f32>() < p
}

fn uniform(rng: &mut ChaCha8Rng, lo: f32, hi: f32) -> f32 {
    lo + (hi - lo) * rng.random::<f32>()
}

fn mean(values: &[f32]) -> f32 {
    (values.iter().map(|&v| f64::from(v)).sum::<f64>() / values.len().max(1) as f64) as f32
}

fn deviation(values: &[f32]) -> f32 {
    let centre = f64::from(mean(values));
    let squares: f64 = values
        .iter()
        .map(|&v| (f64::from(v) - centre).powi(2))
        .sum();
    (squares / values.len().max(1) as f64).sqrt() as f32
}

fn extent(values: &[f32]) -> (f32, f32) {
    values
        .iter()
        .fold((f32::INFINITY, f32::NEG_INFINITY), |(lo, hi), &v| {
            (lo.min(v), hi.max(v))
        })
}

fn mirror<T>(values: &mut [T], shape: [usize; 3], axis: usize) {
    for (first, stride, length) in lines(shape, axis) {
        for i in 0..length / 2 {
            values.swap(first + i * stride, first + (length - 1 - i) * stride);
        }
    }
}

/// Filters with a Gaussian cut at three sigma, the border's value outside.
fn blur(values: &mut [f32], shape: [usize; 3], axis: usize, sigma: f32) {
    let kernel = gaussian(sigma, (3.0 * sigma).ceil() as usize);
    filter(values, shape, axis, &kernel, Border::Replicate);
}

fn spatial(patch: &mut Patch, shape: [usize; 3], angles: [f32; 3], zoom: f32) {
    let voxels: usize = shape.iter().product();
    let centre = shape.map(|n| (n as f32 - 1.0) / 2.0);
    let source = patch.clone();
    let mut index = 0;
    for z in 0..shape[0] {
        for y in 0..shape[1] {
            for x in 0..shape[2] {
                let mut p: [f32; 3] =
                    std::array::from_fn(|a| ([z, y, x][a] as f32 - centre[a]) / zoom);
                for (axis, angle) in angles.iter().enumerate() {
                    let (i, j) = ((axis + 1) % 3, (axis + 2) % 3);
                    let (sin, cos) = angle.sin_cos();
                    (p[i], p[j]) = (cos * p[i] - sin * p[j], sin * p[i] + cos * p[j]);
                }
                let at: [f32; 3] = std::array::from_fn(|a| p[a] + centre[a]);
                for (out, channel) in patch
                    .image
                    .chunks_mut(voxels)
                    .zip(source.image.chunks(voxels))
                {
                    out[index] = linear(channel, shape, at);
                }
                let from = nearest(shape, at);
                patch.labels[index] = from.map_or(0, |i| source.labels[i]);
                patch.support[index] = from.map_or(0.0, |i| source.support[i]);
                index += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patch() -> (Patch, [usize; 3]) {
        let shape = [6, 7, 8];
        let n: i32 = 6 * 7 * 8;
        let patch = Patch {
            image: (0..n).map(|i| (i as f32 * 0.7).sin()).collect(),
            labels: (0..n).map(|i| i % 3).collect(),
            support: (0..n).map(|i| (i % 3) as f32).collect(),
        };
        (patch, shape)
    }

    #[test]
    fn the_identity_transform_and_two_mirrors_change_nothing() {
        let (original, shape) = patch();
        let mut moved = original.clone();
        spatial(&mut moved, shape, [0.0; 3], 1.0);
        assert_eq!(moved.labels, original.labels);
        let worst = moved
            .image
            .iter()
            .zip(&original.image)
            .map(|(a, b)| (a - b).abs());
        assert!(worst.fold(0.0, f32::max) < 1e-5);
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
        let mut patch = Patch {
            labels: values.iter().map(|&v| v as i32).collect(),
            support: values.clone(),
            image: values,
        };
        spatial(
            &mut patch,
            shape,
            [std::f32::consts::FRAC_PI_2, 0.0, 0.0],
            1.0,
        );
        let label = patch.labels.iter().position(|&l| l == 1).unwrap();
        assert_ne!(label, 2 * 25 + 5 + 2);
        assert!(patch.image[label] > 0.99);
    }

    #[test]
    fn augmentation_repeats_with_its_seed_and_keeps_the_label_values() {
        let (original, shape) = patch();
        let mut changed = 0;
        for seed in 0..20 {
            let (mut a, mut b) = (original.clone(), original.clone());
            augment(&mut a, shape, seed);
            augment(&mut b, shape, seed);
            assert_eq!(a.image, b.image);
            assert!(a.labels.iter().all(|l| (0..3).contains(l)));
            assert!(a.image.iter().all(|v| v.is_finite()));
            changed += usize::from(a.image != original.image);
        }
        assert!(changed > 15);
    }

    #[test]
    fn gamma_keeps_mean_and_deviation_and_bends_the_other_way_when_inverted() {
        let original: Vec<f32> = (0..100).map(|i| (i as f32 * 0.37).sin()).collect();
        let skew = |values: &[f32]| {
            let (m, sd) = (mean(values), deviation(values));
            values.iter().map(|v| ((v - m) / sd).powi(3)).sum::<f32>() / values.len() as f32
        };
        let mut skews = Vec::new();
        for inverted in [false, true] {
            let mut values = original.clone();
            gamma(&mut values, 1.5, inverted);
            assert!((mean(&values) - mean(&original)).abs() < 1e-5);
            assert!((deviation(&values) - deviation(&original)).abs() < 1e-5);
            skews.push(skew(&values) - skew(&original));
        }
        assert!(skews[0] > 0.1 && skews[1] < -0.1, "{skews:?}");
    }

    #[test]
    fn blur_keeps_a_constant_and_lowers_contrast() {
        let (mut p, shape) = patch();
        let mut flat = vec![0.5; p.image.len()];
        blur(&mut flat, shape, 1, 1.0);
        assert!(flat.iter().all(|v| (v - 0.5).abs() < 1e-6));
        let before = extent(&p.image).1;
        blur(&mut p.image, shape, 2, 1.0);
        assert!(extent(&p.image).1 < before);
    }
}
