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
    /// nnU-Net's default transforms with its ranges and probabilities: rotation and scaling (0.2 each), Gaussian noise (0.1), blur
    /// (0.2, and each channel 0.5), brightness (0.15), contrast (0.15), low resolution (0.25, and each channel 0.5), gamma of the
    /// negative (0.1), gamma (0.3) and mirroring of every axis (0.5).
    NnUnet,
}

/// How far a rotation turns, in radians about each axis.
const LARGEST_ANGLE: f32 = std::f32::consts::FRAC_PI_6;
/// How much smaller the content of a patch becomes: a voxel of the result covers so many of the source.
const LARGEST_SCALE: f32 = 1.4;

/// Voxels about a patch of `shape` that [`augment`] wants to see, on either side of each axis: as in nnU-Net, what one rotation by
/// the largest angle and the largest scale reach.
pub fn augmentation_margin(shape: [usize; 3]) -> [usize; 3] {
    let (sin, cos) = LARGEST_ANGLE.sin_cos();
    let longest = |axis: usize| {
        let other = (0..3).filter(|&other| other != axis).map(|i| shape[i]);
        cos * shape[axis] as f32 + sin * other.max().unwrap_or(0) as f32
    };
    [0, 1, 2].map(|axis| {
        let wanted = (LARGEST_SCALE * longest(axis)).ceil() as usize;
        wanted.saturating_sub(shape[axis]).div_ceil(2)
    })
}

/// An augmented patch of `shape` `[depth, height, width]` out of one with `margin` voxels more on either side of each axis, which
/// rotation and scaling bring in; beyond it there are zeros and background. The intensities are z-scores.
pub fn augment(patch: &Patch, shape: [usize; 3], margin: [usize; 3], seed: u64) -> Patch {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let (rotate, scale) = (chance(&mut rng, 0.2), chance(&mut rng, 0.2));
    let limit = if rotate { LARGEST_ANGLE } else { 0.0 };
    let angles = [0; 3].map(|_| uniform(&mut rng, -limit, limit));
    let scale = match (scale, chance(&mut rng, 0.5)) {
        (false, _) => 1.0,
        // Larger as often as smaller.
        (true, true) => uniform(&mut rng, 0.7, 1.0),
        (true, false) => uniform(&mut rng, 1.0, LARGEST_SCALE),
    };
    let mut patch = spatial(patch, shape, margin, angles, scale);
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
    patch
}

/// The share of channels that a blur or a low resolution changes, of a sample that it was drawn for.
const PER_CHANNEL: f32 = 0.5;

fn intensities(values: &mut [f32], shape: [usize; 3], rng: &mut ChaCha8Rng) {
    if chance(rng, 0.1) {
        // nnU-Net calls it a variance, and uses it as the standard deviation.
        let sd = uniform(rng, 0.0, 0.1);
        for v in values.iter_mut() {
            let (a, b): (f32, f32) = (rng.random(), rng.random());
            *v += sd * (-2.0 * (1.0 - a).ln()).sqrt() * (std::f32::consts::TAU * b).cos();
        }
    }
    if chance(rng, 0.2 * PER_CHANNEL) {
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
    if chance(rng, 0.25 * PER_CHANNEL) {
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

/// The patch of `shape` in the middle of `source`, rotated and with its content `scale` times smaller.
fn spatial(
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

    #[test]
    fn augmentation_repeats_with_its_seed_and_keeps_the_label_values() {
        let (original, shape) = patch();
        let mut changed = 0;
        for seed in 0..20 {
            let a = augment(&original, shape, [0; 3], seed);
            let b = augment(&original, shape, [0; 3], seed);
            assert_eq!(a.image, b.image);
            assert!(a.labels.iter().all(|l| (0..3).contains(l)));
            assert!(a.image.iter().all(|v| v.is_finite()));
            changed += usize::from(a.image != original.image);
        }
        assert!(changed > 15);
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
