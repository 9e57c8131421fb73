use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use voxshield_perturb::{PerturbError, TrainingVolume};

use super::{TrainingDefence, TrainingDefenceEntry, VolumeFilter, Volumes};
use crate::EvalError;
use crate::defences::without_strength;

pub(super) const ENTRY: TrainingDefenceEntry = TrainingDefenceEntry {
    name: "orthogonal-projection",
    parameter: "",
    cheap: true,
    make: |strength| {
        Ok(Box::new(without_strength(strength, || {
            OrthogonalProjection
        })?))
    },
};

/// Side of a block in voxels.
const SIDE: usize = 4;
/// Voxels of a block.
const BLOCK: usize = SIDE * SIDE * SIDE;
/// Volumes that blocks are taken from.
const VOLUMES: usize = 32;
/// Blocks a class.
const SAMPLES: usize = 4096;
/// Steps of the logistic regression.
const STEPS: usize = 200;

/// Orthogonal projection (P. Sandoval-Segura et al., arXiv 2305.19254), for segmentation: what a linear
/// classifier of foreground and background finds in the training volumes is taken out of them.
///
/// A volume is cut into blocks of 4^3 voxels, counted from its middle as lattices are, so that a pattern of the grid lies alike in the
/// blocks of volumes of any size; up to 3 voxels at either end of an axis are in no whole block and stay. A block's features `p` are its
/// voxels, all channels, less the mean of each channel, so that brightness, which is anatomy, stays. Logistic
/// regression tells blocks that are mostly foreground from those without any; `q` is the direction of its
/// weights, and every whole block becomes `p - q (q . p)`. Lattices of period 2 and 4 that are tied to the
/// grid are such directions; a pattern that is tied to nothing is not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OrthogonalProjection;

impl TrainingDefence for OrthogonalProjection {
    fn name(&self) -> &'static str {
        ENTRY.name
    }

    fn fit(
        &self,
        volumes: &mut Volumes<'_>,
        seed: u64,
    ) -> Result<Option<Box<dyn VolumeFilter>>, EvalError> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut features = [Vec::new(), Vec::new()];
        for (case, volume) in volumes.take(VOLUMES).enumerate() {
            let volume = volume.map_err(|source| PerturbError::Source { case, source })?;
            collect(&volume, &mut features, &mut rng);
        }
        Ok(direction(&features).map(|q| {
            let filter: Box<dyn VolumeFilter> = Box::new(Projection { q });
            filter
        }))
    }
}

/// Adds blocks of either class from one volume, drawn with replacement.
fn collect(volume: &TrainingVolume, features: &mut [Vec<Vec<f64>>; 2], rng: &mut ChaCha8Rng) {
    let mut places = [Vec::new(), Vec::new()];
    for first in blocks(volume.shape) {
        let labelled = voxels(volume.shape, first)
            .filter(|&i| volume.labels[i] > 0)
            .count();
        match labelled {
            0 => places[0].push(first),
            n if 2 * n > BLOCK => places[1].push(first),
            _ => {}
        }
    }
    for (features, places) in features.iter_mut().zip(&places) {
        for _ in 0..(SAMPLES / VOLUMES).min(places.len()) {
            let first = places[rng.random_range(0..places.len())];
            features.push(block(&volume.image, volume.shape, first));
        }
    }
}

/// First voxels of all whole blocks, counted from the middle voxel, `ceil(n / 2)`, where `voxshield-perturb` counts lattices from.
fn blocks([depth, height, width]: [usize; 3]) -> impl Iterator<Item = [usize; 3]> {
    let along = |size: usize| {
        let first = size.div_ceil(2) % SIDE;
        (0..size.saturating_sub(first) / SIDE).map(move |i| first + i * SIDE)
    };
    along(depth)
        .flat_map(move |z| along(height).flat_map(move |y| along(width).map(move |x| [z, y, x])))
}

/// Indices of a block's voxels.
fn voxels([_, height, width]: [usize; 3], [z, y, x]: [usize; 3]) -> impl Iterator<Item = usize> {
    (0..BLOCK).map(move |i| {
        let (dz, dy, dx) = (i / (SIDE * SIDE), i / SIDE % SIDE, i % SIDE);
        ((z + dz) * height + y + dy) * width + x + dx
    })
}

/// The voxels of a block, `[channel, 4, 4, 4]`, less the mean of each channel.
fn block(image: &[f32], shape: [usize; 3], first: [usize; 3]) -> Vec<f64> {
    let mut feature = Vec::new();
    for channel in image.chunks_exact(shape.iter().product()) {
        let start = feature.len();
        feature.extend(voxels(shape, first).map(|i| f64::from(channel[i])));
        let mean = feature[start..].iter().sum::<f64>() / BLOCK as f64;
        feature[start..].iter_mut().for_each(|v| *v -= mean);
    }
    feature
}

/// The unit direction of the weights of a logistic regression, background against foreground; `None` if a class
/// is missing or nothing tells them apart.
fn direction(features: &[Vec<Vec<f64>>; 2]) -> Option<Vec<f64>> {
    let count = features[0].len().min(features[1].len());
    let length = features[0].first()?.len();
    let squares: f64 = features.iter().flatten().flatten().map(|v| v * v).sum();
    let values = features.iter().map(Vec::len).sum::<usize>() * length;
    let scale = (squares / values as f64).sqrt();
    if count == 0 || scale == 0.0 {
        return None;
    }
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let (mut weights, mut bias) = (vec![0.0; length], 0.0);
    for _ in 0..STEPS {
        let (mut slope, mut slope_bias) = (vec![0.0; length], 0.0);
        for (class, features) in features.iter().enumerate() {
            for feature in &features[..count] {
                let score = dot(feature, &weights) / scale + bias;
                let error = 1.0 / (1.0 + (-score).exp()) - class as f64;
                let terms = slope.iter_mut().zip(feature);
                terms.for_each(|(s, f)| *s += error * f / scale);
                slope_bias += error;
            }
        }
        let rate = 0.5 / count as f64;
        weights
            .iter_mut()
            .zip(&slope)
            .for_each(|(w, s)| *w -= rate * s);
        bias -= rate * slope_bias;
    }
    let norm = dot(&weights, &weights).sqrt();
    (norm > 0.0).then(|| weights.iter().map(|w| w / norm).collect())
}

#[derive(Debug)]
struct Projection {
    /// `[channel, 4, 4, 4]`, norm 1.
    q: Vec<f64>,
}

impl VolumeFilter for Projection {
    fn apply(&self, image: &mut [f32], shape: [usize; 3]) {
        let count: usize = shape.iter().product();
        for first in blocks(shape) {
            // q has no mean, so the features' missing means change nothing.
            let response: f64 = block(image, shape, first)
                .iter()
                .zip(&self.q)
                .map(|(p, q)| p * q)
                .sum();
            let channels = image
                .chunks_exact_mut(count)
                .zip(self.q.chunks_exact(BLOCK));
            for (channel, q) in channels {
                let terms = voxels(shape, first).zip(q);
                terms.for_each(|(i, q)| channel[i] -= (response * q) as f32);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use voxshield_perturb::SourceError;

    use super::*;

    /// Their middles, `ceil(n / 2)`, are 9, 9, 11, then 10, 10, 12, and 11, 9, 11: counted from the first voxel, the lattice of the
    /// second has the other sign.
    const SHAPES: [[usize; 3]; 3] = [[18, 17, 21], [19, 19, 23], [21, 18, 22]];

    /// Noise, and a lattice of period 2, counted from the middle, where the label is: in the first slices.
    fn volume(seed: u64) -> (TrainingVolume, Vec<f32>) {
        let shape @ [_, height, width] = SHAPES[seed as usize % 3];
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let count: usize = shape.iter().product();
        let labels: Vec<i32> = (0..count)
            .map(|i| i32::from(i / (height * width) < 10))
            .collect();
        let parity = |i: usize| {
            let at = [i / (height * width), i / width % height, i % width];
            let from_middle = |axis: usize| at[axis] as i64 - shape[axis].div_ceil(2) as i64;
            (0..3).map(from_middle).sum::<i64>().rem_euclid(2) as usize
        };
        let lattice: Vec<f32> = (0..count)
            .map(|i| [0.5, -0.5][parity(i)] * labels[i] as f32)
            .collect();
        let volume = TrainingVolume {
            image: lattice
                .iter()
                .map(|l| 3.0 + l + rng.random::<f32>())
                .collect(),
            labels,
            support: vec![1.0; count],
            channels: 1,
            shape,
        };
        (volume, lattice)
    }

    #[test]
    fn a_lattice_that_marks_the_foreground_goes_and_the_mean_stays() {
        let mut volumes = (0..32).map(|seed| Ok::<_, SourceError>(volume(seed).0));
        let filter = OrthogonalProjection.fit(&mut volumes, 1).unwrap().unwrap();
        for seed in 99..102 {
            let (fresh, lattice) = volume(seed);
            let mut image = fresh.image.clone();
            filter.apply(&mut image, fresh.shape);
            // Whole blocks of foreground; the label ends within the next ones.
            let whole: Vec<usize> = blocks(fresh.shape)
                .filter(|first| first[0] + SIDE <= 10)
                .flat_map(|first| voxels(fresh.shape, first))
                .collect();
            let amplitude =
                |image: &[f32]| -> f32 { whole.iter().map(|&i| image[i] * lattice[i]).sum() };
            let (before, after) = (amplitude(&fresh.image), amplitude(&image));
            // What is left is the square of the sine between q, fitted to 32 noisy volumes, and the lattice.
            assert!(after.abs() < 0.3 * before, "{seed}: {before} {after}");
            let mean = |image: &[f32]| image.iter().sum::<f32>() / image.len() as f32;
            assert!((mean(&image) - mean(&fresh.image)).abs() < 1e-4);
        }
    }

    #[test]
    fn blocks_are_whole_and_counted_from_the_middle() {
        for size in 1..30usize {
            let firsts: Vec<usize> = blocks([size, 7, 7]).map(|first| first[0]).collect();
            let from_middle = |at: usize| at as i64 - size.div_ceil(2) as i64;
            assert!(
                firsts
                    .iter()
                    .all(|&at| from_middle(at) % 4 == 0 && at + 4 <= size)
            );
            // No more than 3 voxels at either end are left over.
            let whole = (0..size).filter(|&at| from_middle(at) % 4 == 0 && at + 4 <= size);
            assert_eq!(firsts, whole.collect::<Vec<_>>(), "{size}");
        }
    }

    #[test]
    fn without_foreground_there_is_nothing_to_project_out() {
        let volume = volume(1).0;
        let empty = TrainingVolume {
            labels: vec![0; volume.labels.len()],
            ..volume
        };
        let mut volumes = std::iter::once(Ok::<_, SourceError>(empty));
        assert!(OrthogonalProjection.fit(&mut volumes, 1).unwrap().is_none());
    }
}
