use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// How far a rotation turns, in radians about each axis.
pub(super) const LARGEST_ANGLE: f32 = std::f32::consts::FRAC_PI_6;
/// How much smaller the content of a patch becomes: a voxel of the result covers so many of the source.
pub(super) const LARGEST_SCALE: f32 = 1.4;
/// The share of channels that a blur or a low resolution changes, of a sample that it was drawn for.
const PER_CHANNEL: f32 = 0.5;

/// What is drawn for one patch. Nothing of it depends on the patch but for its size.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Draw {
    /// Of the rotation about each axis, in radians.
    pub(super) angles: [f32; 3],
    /// Above 1 makes the content smaller.
    pub(super) scale: f32,
    pub(super) channels: Vec<Intensities>,
    pub(super) mirrored: [bool; 3],
}

/// What is done to the intensities of one channel, in this order.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Intensities {
    pub(super) noise: Option<Noise>,
    /// The deviation of the Gaussian, in voxels.
    pub(super) blur: Option<f32>,
    /// A factor on the z-scores.
    pub(super) brightness: Option<f32>,
    /// A factor on the distance from the mean.
    pub(super) contrast: Option<f32>,
    /// The share of the voxels that is kept along each axis.
    pub(super) low_resolution: Option<f32>,
    /// The exponent for the negative.
    pub(super) inverted_gamma: Option<f32>,
    /// The exponent.
    pub(super) gamma: Option<f32>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Noise {
    /// In standard deviations of the volume.
    pub(super) deviation: f32,
    /// For each voxel, in standard deviations of the volume.
    pub(super) values: Vec<f32>,
}

impl Draw {
    /// That of a patch with so many channels of so many voxels.
    pub(super) fn of(seed: u64, channels: usize, voxels: usize) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let (rotated, scaled) = (chance(&mut rng, 0.2), chance(&mut rng, 0.2));
        let limit = if rotated { LARGEST_ANGLE } else { 0.0 };
        let angles = [0; 3].map(|_| uniform(&mut rng, -limit, limit));
        let scale = match (scaled, chance(&mut rng, 0.5)) {
            (false, _) => 1.0,
            // Larger as often as smaller.
            (true, true) => uniform(&mut rng, 0.7, 1.0),
            (true, false) => uniform(&mut rng, 1.0, LARGEST_SCALE),
        };
        Self {
            angles,
            scale,
            channels: (0..channels)
                .map(|_| Intensities::draw(voxels, &mut rng))
                .collect(),
            mirrored: [0; 3].map(|_| chance(&mut rng, 0.5)),
        }
    }
}

impl Intensities {
    fn draw(voxels: usize, rng: &mut ChaCha8Rng) -> Self {
        let noise = chance(rng, 0.1).then(|| {
            // nnU-Net calls it a variance, and uses it as the standard deviation.
            let deviation = uniform(rng, 0.0, 0.1);
            let values = (0..voxels).map(|_| normal(deviation, rng)).collect();
            Noise { deviation, values }
        });
        let mut within = |probability: f32, lo: f32, hi: f32| {
            chance(rng, probability).then(|| uniform(rng, lo, hi))
        };
        Self {
            noise,
            blur: within(0.2 * PER_CHANNEL, 0.5, 1.0),
            brightness: within(0.15, 0.75, 1.25),
            contrast: within(0.15, 0.75, 1.25),
            low_resolution: within(0.25 * PER_CHANNEL, 0.5, 1.0),
            inverted_gamma: within(0.1, 0.7, 1.5),
            gamma: within(0.3, 0.7, 1.5),
        }
    }
}

fn chance(rng: &mut ChaCha8Rng, p: f32) -> bool {
    rng.random::<f32>() < p
}

fn uniform(rng: &mut ChaCha8Rng, lo: f32, hi: f32) -> f32 {
    lo + (hi - lo) * rng.random::<f32>()
}

/// By the method of Box and Muller.
fn normal(deviation: f32, rng: &mut ChaCha8Rng) -> f32 {
    let (a, b): (f32, f32) = (rng.random(), rng.random());
    deviation * (-2.0 * (1.0 - a).ln()).sqrt() * (std::f32::consts::TAU * b).cos()
}

#[cfg(test)]
mod tests {
    use std::f32::consts::FRAC_PI_6;

    use super::*;

    /// The share of the draws that are there, the smallest and the largest.
    fn seen(values: impl Iterator<Item = Option<f32>>) -> (f32, f32, f32) {
        let all: Vec<Option<f32>> = values.collect();
        let there = all.iter().flatten();
        let (lo, hi) = there
            .clone()
            .fold((f32::MAX, f32::MIN), |(lo, hi), &v| (lo.min(v), hi.max(v)));
        (there.count() as f32 / all.len() as f32, lo, hi)
    }

    /// The table of [`Augmentation::NnUnet`](crate::Augmentation): probability, least and greatest.
    #[test]
    fn probabilities_and_ranges_are_those_of_the_table() {
        let draws: Vec<Draw> = (0..20_000).map(|seed| Draw::of(seed, 1, 1)).collect();
        let of = |read: fn(&Draw) -> Option<f32>| seen(draws.iter().map(read));
        let table = [
            (
                "noise",
                0.1,
                0.0,
                0.1,
                of(|d| d.channels[0].noise.as_ref().map(|n| n.deviation)),
            ),
            ("blur", 0.1, 0.5, 1.0, of(|d| d.channels[0].blur)),
            (
                "brightness",
                0.15,
                0.75,
                1.25,
                of(|d| d.channels[0].brightness),
            ),
            ("contrast", 0.15, 0.75, 1.25, of(|d| d.channels[0].contrast)),
            (
                "low resolution",
                0.125,
                0.5,
                1.0,
                of(|d| d.channels[0].low_resolution),
            ),
            (
                "inverted gamma",
                0.1,
                0.7,
                1.5,
                of(|d| d.channels[0].inverted_gamma),
            ),
            ("gamma", 0.3, 0.7, 1.5, of(|d| d.channels[0].gamma)),
            (
                "larger",
                0.1,
                0.7,
                1.0,
                of(|d| (d.scale < 1.0).then_some(d.scale)),
            ),
            (
                "smaller",
                0.1,
                1.0,
                1.4,
                of(|d| (d.scale > 1.0).then_some(d.scale)),
            ),
            (
                "first angle",
                0.2,
                -FRAC_PI_6,
                FRAC_PI_6,
                of(|d| (d.angles[0] != 0.0).then_some(d.angles[0])),
            ),
            (
                "last angle",
                0.2,
                -FRAC_PI_6,
                FRAC_PI_6,
                of(|d| (d.angles[2] != 0.0).then_some(d.angles[2])),
            ),
            (
                "first mirror",
                0.5,
                1.0,
                1.0,
                of(|d| d.mirrored[0].then_some(1.0)),
            ),
            (
                "last mirror",
                0.5,
                1.0,
                1.0,
                of(|d| d.mirrored[2].then_some(1.0)),
            ),
        ];
        for (what, probability, least, greatest, (share, lo, hi)) in table {
            // Five standard deviations of a share among 20,000.
            let spread = 5.0 * (probability * (1.0 - probability) / 20_000f32).sqrt();
            assert!((share - probability).abs() < spread, "{what}: {share}");
            // Of 2,000 or more even draws, none in the last hundredth has a chance of 2e-9.
            let near = 0.01 * (greatest - least) + 1e-4;
            assert!((least - 1e-4..=least + near).contains(&lo), "{what}: {lo}");
            assert!(
                (greatest - near..=greatest + 1e-4).contains(&hi),
                "{what}: {hi}"
            );
        }
    }

    /// Each axis, each channel and each mirror draws for itself; rotations are about all axes or none.
    #[test]
    fn draws_of_channels_and_mirrors_are_their_own() {
        let draws: Vec<Draw> = (0..2_000).map(|seed| Draw::of(seed, 2, 3)).collect();
        let share =
            |is: fn(&Draw) -> bool| draws.iter().filter(|draw| is(draw)).count() as f32 / 2_000.0;
        let both = share(|d| d.channels.iter().all(|c| c.gamma.is_some()));
        assert!((both - 0.09).abs() < 0.032, "{both}");
        let all = share(|d| d.mirrored == [true; 3]);
        assert!((all - 0.125).abs() < 0.037, "{all}");
        let turned = |d: &Draw| d.angles.iter().filter(|&&angle| angle != 0.0).count();
        assert!(draws.iter().all(|d| [0, 3].contains(&turned(d))));
    }

    #[test]
    fn noise_is_standard_normal() {
        let draw = |seed| Draw::of(seed, 1, 20_000).channels.remove(0).noise;
        let Noise { deviation, values } = (0..).find_map(draw).unwrap();
        let mean = |power: i32| {
            let powers = values.iter().map(|v| (v / deviation).powi(power));
            powers.sum::<f32>() / 20_000.0
        };
        assert!(mean(1).abs() < 0.04 && (mean(2) - 1.0).abs() < 0.05);
        assert!((mean(4) - 3.0).abs() < 0.4);
    }
}
