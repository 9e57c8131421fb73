use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use voxshield_perturb::{Patch, PatchSource, PerturbError};

use super::{TrainingDefence, VolumeFilter};
use crate::EvalError;

/// Voxels of the neighbourhood of one voxel, per channel.
const TAPS: usize = 27;
/// The patches that features are taken from, `[depth, height, width]`.
const PATCH: [usize; 3] = [16; 3];
/// Feature vectors a class.
const SAMPLES: usize = 4096;

/// Orthogonal projection (P. Sandoval-Segura et al., arXiv 2305.19254), for segmentation: what a linear
/// classifier of foreground and background finds in the training volumes is taken out of them.
///
/// Features are the 3x3x3 neighbourhoods `p` of voxels, all channels, less the mean of each channel, so
/// that brightness, which is anatomy, stays. Logistic regression gives weights, `q` is their direction,
/// and a volume cut into blocks becomes `p - q (q . p)` in each. The result here is the mean over
/// all 27 ways to cut: `x - corr^T(q, corr(q, x)) / 27`, which has no seams.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OrthogonalProjection {
    patches: usize,
}

impl Default for OrthogonalProjection {
    fn default() -> Self {
        Self { patches: 96 }
    }
}

impl TrainingDefence for OrthogonalProjection {
    fn name(&self) -> &'static str {
        "orthogonal-projection"
    }

    fn fit(
        &self,
        source: &mut dyn PatchSource,
        channels: usize,
        seed: u64,
    ) -> Result<Option<Box<dyn VolumeFilter>>, EvalError> {
        let found = self.learn(source, channels, seed)?;
        Ok(found.map(|projection| Box::new(projection) as Box<dyn VolumeFilter>))
    }
}

impl OrthogonalProjection {
    fn learn(
        &self,
        source: &mut dyn PatchSource,
        channels: usize,
        seed: u64,
    ) -> Result<Option<Projection>, EvalError> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let cases = source.cases();
        if cases == 0 {
            return Err(PerturbError::NoCases.into());
        }
        let mut features = [Vec::new(), Vec::new()];
        for index in 0..self.patches {
            let case = index % cases;
            let patch = source
                .patch(case, PATCH, rng.random())
                .map_err(|source| PerturbError::Source { case, source })?;
            let each = SAMPLES.div_ceil(self.patches);
            collect(&patch, channels, each, &mut features, &mut rng);
        }
        Ok(direction(&features, channels * TAPS).map(|q| Projection { q }))
    }
}

/// Adds up to `each` feature vectors of either class from one patch.
fn collect(
    patch: &Patch,
    channels: usize,
    each: usize,
    features: &mut [Vec<Vec<f64>>; 2],
    rng: &mut ChaCha8Rng,
) {
    let [depth, height, width] = PATCH;
    let inner: Vec<[usize; 3]> = (1..depth - 1)
        .flat_map(|z| (1..height - 1).flat_map(move |y| (1..width - 1).map(move |x| [z, y, x])))
        .collect();
    for (class, features) in features.iter_mut().enumerate() {
        let of_class = |&[z, y, x]: &[usize; 3]| {
            (patch.labels[(z * height + y) * width + x] > 0) == (class == 1)
        };
        let places: Vec<[usize; 3]> = inner.iter().copied().filter(of_class).collect();
        for _ in 0..each.min(places.len()) {
            let place = places[rng.random_range(0..places.len())];
            features.push(neighbourhood(&patch.image, channels, PATCH, place));
        }
    }
}

/// The 27 voxels around an inner voxel of every channel, less the channel's mean.
fn neighbourhood(image: &[f32], channels: usize, shape: [usize; 3], at: [usize; 3]) -> Vec<f64> {
    let voxels: usize = shape.iter().product();
    let mut feature = Vec::with_capacity(channels * TAPS);
    for channel in image.chunks_exact(voxels).take(channels) {
        let first = feature.len();
        feature.extend(offsets(shape, at).map(|i| f64::from(channel[i])));
        let mean = feature[first..].iter().sum::<f64>() / TAPS as f64;
        feature[first..].iter_mut().for_each(|v| *v -= mean);
    }
    feature
}

/// Indices of the 27 voxels around an inner one.
fn offsets([_, height, width]: [usize; 3], [z, y, x]: [usize; 3]) -> impl Iterator<Item = usize> {
    (0..TAPS).map(move |tap| {
        ((z + tap / 9 - 1) * height + y + tap / 3 % 3 - 1) * width + x + tap % 3 - 1
    })
}

/// The unit direction of the weights of a logistic regression, background against foreground; `None` if a class
/// is missing or nothing tells them apart.
fn direction(features: &[Vec<Vec<f64>>; 2], length: usize) -> Option<Vec<f64>> {
    let count = features[0].len().min(features[1].len());
    let squares: f64 = features.iter().flatten().flatten().map(|v| v * v).sum();
    let values = features.iter().map(Vec::len).sum::<usize>() * length;
    let scale = (squares / values.max(1) as f64).sqrt();
    if count == 0 || scale == 0.0 {
        return None;
    }
    let (mut weights, mut bias) = (vec![0.0; length], 0.0);
    for _ in 0..200 {
        let (mut slope, mut slope_bias) = (vec![0.0; length], 0.0);
        for (class, features) in features.iter().enumerate() {
            for feature in &features[..count] {
                let score = feature
                    .iter()
                    .zip(&weights)
                    .map(|(f, w)| f / scale * w)
                    .sum::<f64>()
                    + bias;
                let error = 1.0 / (1.0 + (-score).exp()) - class as f64;
                slope
                    .iter_mut()
                    .zip(feature)
                    .for_each(|(s, f)| *s += error * f / scale);
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
    let norm = weights.iter().map(|w| w * w).sum::<f64>().sqrt();
    (norm > 0.0).then(|| weights.iter().map(|w| w / norm).collect())
}

#[derive(Debug)]
struct Projection {
    /// `[channel, 3, 3, 3]`, norm 1.
    q: Vec<f64>,
}

impl VolumeFilter for Projection {
    fn apply(&self, image: &mut [f32], shape: [usize; 3]) {
        let [depth, height, width] = shape;
        let voxels: usize = shape.iter().product();
        if shape.iter().any(|&n| n < 3) {
            return;
        }
        let mut taken = vec![0.0; image.len()];
        for z in 1..depth - 1 {
            for y in 1..height - 1 {
                for x in 1..width - 1 {
                    let mut response = 0.0;
                    for (channel, q) in image.chunks_exact(voxels).zip(self.q.chunks_exact(TAPS)) {
                        let products = offsets(shape, [z, y, x])
                            .zip(q)
                            .map(|(i, q)| f64::from(channel[i]) * q);
                        response += products.sum::<f64>();
                    }
                    for (taken, q) in taken
                        .chunks_exact_mut(voxels)
                        .zip(self.q.chunks_exact(TAPS))
                    {
                        offsets(shape, [z, y, x])
                            .zip(q)
                            .for_each(|(i, q)| taken[i] += response * q);
                    }
                }
            }
        }
        for (value, taken) in image.iter_mut().zip(taken) {
            *value -= (taken / TAPS as f64) as f32;
        }
    }
}

#[cfg(test)]
mod tests {
    use voxshield_perturb::{InMemory, TrainingVolume};

    use super::*;

    /// The projection takes a pattern out that follows `q` everywhere, and leaves what is orthogonal to it.
    #[test]
    fn a_lattice_along_q_goes_and_a_constant_stays() {
        let sign = |i: usize| if i % 2 == 0 { 1.0 } else { -1.0 };
        // Mean removed, as the fit makes it.
        let mut q: Vec<f64> = (0..TAPS).map(sign).collect();
        let mean = q.iter().sum::<f64>() / TAPS as f64;
        q.iter_mut().for_each(|v| *v -= mean);
        let norm = q.iter().map(|v| v * v).sum::<f64>().sqrt();
        q.iter_mut().for_each(|v| *v /= norm);
        let shape = [9, 9, 9];
        let at = |i: usize| i / 81 + i / 9 % 9 + i % 9;
        let mut image: Vec<f32> = (0..729).map(|i| 3.0 + sign(at(i)) as f32).collect();
        Projection { q }.apply(&mut image, shape);
        let centre = image[4 * 81 + 4 * 9 + 4];
        // |Q|^2 / 27 at the lattice's frequency is 26.96 / 27: all but a thousandth goes.
        assert!((centre - 3.0).abs() < 0.01, "{centre}");
    }

    #[test]
    fn the_fit_finds_the_pattern_that_marks_the_foreground() {
        // Foreground carries a gradient along x that the background lacks.
        let (n, mut rng) = (20usize, ChaCha8Rng::seed_from_u64(1));
        let volume = |rng: &mut ChaCha8Rng| {
            let labels: Vec<i32> = (0..n * n * n)
                .map(|i| i32::from(i / (n * n) >= n / 2))
                .collect();
            let image = (0..n * n * n)
                .map(|i| {
                    let slope = (i % n) as f32 * 0.2 * labels[i] as f32;
                    slope + rng.random::<f32>() * 0.1
                })
                .collect();
            TrainingVolume {
                image,
                labels,
                support: vec![1.0; n * n * n],
                channels: 1,
                shape: [n; 3],
            }
        };
        let mut source = InMemory::new(vec![volume(&mut rng), volume(&mut rng)]).unwrap();
        let found = OrthogonalProjection::default().learn(&mut source, 1, 3);
        let Projection { q } = found.unwrap().unwrap();
        let along: f64 = q.iter().zip(0..TAPS).map(|(q, tap)| q * (tap % 3) as f64).sum();
        // Of the unit direction, the step along x has 18 taps of 1 / sqrt(18).
        let along = along / 18f64.sqrt();
        assert!(along > 0.9, "{along}");
    }
}
