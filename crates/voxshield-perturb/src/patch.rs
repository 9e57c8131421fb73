use std::collections::BTreeMap;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::{PerturbError, SourceError, Window};

/// Patches out of three that lie on a label, for an optimiser.
pub(crate) const FOREGROUND: u32 = 2;

/// One case as the optimiser sees it, on its own grid.
#[derive(Debug, Clone)]
pub struct TrainingVolume {
    /// Normalised intensities `[channel, depth, height, width]` in 0..1.
    pub image: Vec<f32>,
    /// Class indices `[depth, height, width]`, 0 is background.
    pub labels: Vec<i32>,
    /// The share of epsilon that delta may use, 0..1, `[depth, height, width]`.
    pub support: Vec<f32>,
    /// Channels of the image.
    pub channels: usize,
    /// `[depth, height, width]`.
    pub shape: [usize; 3],
}

/// A cut-out of a volume, zero-padded where the volume ends. Same arrays as [`TrainingVolume`].
#[derive(Debug, Clone)]
pub struct Patch {
    /// `[channel, depth, height, width]`.
    pub image: Vec<f32>,
    /// `[depth, height, width]`.
    pub labels: Vec<i32>,
    /// `[depth, height, width]`, 0..1.
    pub support: Vec<f32>,
}

/// Where the optimiser gets its cases from; only the cases in use need to be in memory.
///
/// It is [`Send`] because patches are read on a thread of their own while the device works.
pub trait PatchSource: Send {
    /// How many cases there are.
    fn cases(&self) -> usize;

    /// A patch of `shape` `[depth, height, width]` from a case, placed by `seed`.
    ///
    /// # Errors
    /// Whatever keeps the case from being read.
    fn patch(&mut self, case: usize, shape: [usize; 3], seed: u64) -> Result<Patch, SourceError> {
        self.patch_with_margin(case, shape, [0; 3], seed)
    }

    /// That patch with `margin` voxels more on either side of each axis: what comes into it when it is rotated or made smaller.
    ///
    /// # Errors
    /// As [`PatchSource::patch`].
    fn patch_with_margin(
        &mut self,
        case: usize,
        shape: [usize; 3],
        margin: [usize; 3],
        seed: u64,
    ) -> Result<Patch, SourceError>;
}

/// Where whole cases come from; only the case in use needs to be in memory.
pub trait VolumeSource: Send {
    /// How many cases there are.
    fn cases(&self) -> usize;

    /// A case. The same one is asked for many times in a row. It is refused where [`TrainingVolume::check`] refuses it.
    ///
    /// # Errors
    /// Whatever keeps the case from being read.
    fn volume(&mut self, case: usize) -> Result<&TrainingVolume, SourceError>;
}

/// A source that keeps all its volumes in memory.
#[derive(Debug, Clone)]
pub struct InMemory(Vec<TrainingVolume>);

impl InMemory {
    /// A source of these volumes.
    ///
    /// # Errors
    /// [`PerturbError::Extent`] if an array does not have the length that its shape asks for.
    pub fn new(volumes: Vec<TrainingVolume>) -> Result<Self, PerturbError> {
        for (case, volume) in volumes.iter().enumerate() {
            volume.check(case)?;
        }
        Ok(Self(volumes))
    }
}

/// Checks the lengths of image, labels and support.
pub(crate) fn check_extents(
    case: usize,
    found: [usize; 3],
    voxels: usize,
    channels: usize,
) -> Result<(), PerturbError> {
    let expected = [voxels.saturating_mul(channels), voxels, voxels];
    for ((what, found), expected) in ["image", "labels", "support"]
        .into_iter()
        .zip(found)
        .zip(expected)
    {
        if found != expected {
            return Err(PerturbError::Extent {
                case,
                what,
                expected,
                found,
            });
        }
    }
    Ok(())
}

impl VolumeSource for InMemory {
    fn cases(&self) -> usize {
        self.0.len()
    }

    fn volume(&mut self, case: usize) -> Result<&TrainingVolume, SourceError> {
        Ok(&self.0[case])
    }
}

impl PatchSource for InMemory {
    fn cases(&self) -> usize {
        self.0.len()
    }

    fn patch_with_margin(
        &mut self,
        case: usize,
        shape: [usize; 3],
        margin: [usize; 3],
        seed: u64,
    ) -> Result<Patch, SourceError> {
        Ok(self.0[case].crop_with(shape, margin, seed, FOREGROUND))
    }
}

impl TrainingVolume {
    /// Checks that the arrays have the lengths that shape and channels ask for; whoever receives a volume of another's calls it before
    /// [`TrainingVolume::crop`] or [`TrainingVolume::window`]. `case` is for the message.
    ///
    /// # Errors
    /// [`PerturbError::Extent`] naming the first that has another.
    pub fn check(&self, case: usize) -> Result<(), PerturbError> {
        let voxels = self.shape.into_iter().fold(1, usize::saturating_mul);
        let found = [self.image.len(), self.labels.len(), self.support.len()];
        check_extents(case, found, voxels, self.channels)
    }

    /// A random patch: two times out of three around a foreground voxel (a class is drawn first,
    /// so that small structures are seen as often as large ones), else anywhere. An axis on which
    /// the volume is shorter than the patch is centred and padded with zeros.
    ///
    /// # Panics
    /// Where [`TrainingVolume::check`] has an error.
    pub fn crop(&self, shape: [usize; 3], seed: u64) -> Patch {
        self.crop_with(shape, [0; 3], seed, FOREGROUND)
    }

    /// As [`TrainingVolume::crop`], with `margin` voxels more on either side of each axis, and around a foreground voxel `foreground`
    /// times out of three; nnU-Net takes 1.
    ///
    /// # Panics
    /// As [`TrainingVolume::crop`].
    pub fn crop_with(
        &self,
        shape: [usize; 3],
        margin: [usize; 3],
        seed: u64,
        foreground: u32,
    ) -> Patch {
        let start = self.place(shape, seed, foreground);
        self.window(
            [0, 1, 2].map(|axis| start[axis] - margin[axis] as i64),
            [0, 1, 2].map(|axis| shape[axis] + 2 * margin[axis]),
        )
    }

    /// Where that patch starts.
    pub(crate) fn place(&self, shape: [usize; 3], seed: u64, foreground: u32) -> [i64; 3] {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let centre = if rng.random_range(0..3) < foreground {
            self.foreground_voxel(&mut rng)
        } else {
            None
        };
        let mut start = [0i64; 3];
        for axis in 0..3 {
            let slack = self.shape[axis] as i64 - shape[axis] as i64;
            start[axis] = match centre {
                _ if slack <= 0 => slack / 2,
                Some(centre) => {
                    let jitter =
                        rng.random_range(-(shape[axis] as i64) / 4..=shape[axis] as i64 / 4);
                    (centre[axis] as i64 - shape[axis] as i64 / 2 + jitter).clamp(0, slack)
                }
                None => rng.random_range(0..=slack),
            };
        }
        start
    }

    /// The patch that starts at `start`, which may lie outside; zeros where there is no volume.
    ///
    /// # Panics
    /// As [`TrainingVolume::crop`].
    pub fn window(&self, start: [i64; 3], shape: [usize; 3]) -> Patch {
        let window = Window {
            volume: self.shape,
            start,
            shape,
        };
        let voxels = window.voxels();
        let own: usize = self.shape.iter().product();
        let mut patch = Patch {
            image: vec![0.0; voxels * self.channels],
            labels: vec![0; voxels],
            support: vec![0.0; voxels],
        };
        for run in window.runs() {
            let (from, to, n) = (run.volume, run.window, run.length);
            patch.labels[to..to + n].copy_from_slice(&self.labels[from..from + n]);
            patch.support[to..to + n].copy_from_slice(&self.support[from..from + n]);
            for c in 0..self.channels {
                patch.image[c * voxels + to..c * voxels + to + n]
                    .copy_from_slice(&self.image[c * own + from..c * own + from + n]);
            }
        }
        patch
    }

    fn foreground_voxel(&self, rng: &mut ChaCha8Rng) -> Option<[usize; 3]> {
        // Run by run: labels may be any numbers, and neighbours are mostly alike.
        let mut counts = BTreeMap::new();
        for run in self.labels.chunk_by(|a, b| a == b).filter(|run| run[0] > 0) {
            *counts.entry(run[0]).or_insert(0usize) += run.len();
        }
        if counts.is_empty() {
            return None;
        }
        let (&class, &count) = counts.iter().nth(rng.random_range(0..counts.len()))?;
        let nth = rng.random_range(0..count);
        let (index, _) = self
            .labels
            .iter()
            .enumerate()
            .filter(|(_, label)| **label == class)
            .nth(nth)?;
        let [_, height, width] = self.shape;
        Some([
            index / (height * width),
            index / width % height,
            index % width,
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn volume() -> TrainingVolume {
        let shape = [4, 5, 6];
        TrainingVolume {
            image: (0..240).map(|i| i as f32).collect(),
            labels: (0..120).map(|i| i32::from(i == 77) * 2).collect(),
            support: (0..120).map(|i| if i == 77 { 0.25 } else { 0.0 }).collect(),
            channels: 2,
            shape,
        }
    }

    #[test]
    fn a_window_copies_inside_and_pads_outside() {
        let patch = volume().window([-1, 3, 4], [3, 3, 4]);
        assert_eq!(patch.image[..12], [0.0; 12]);
        let second_slice = [22., 23., 0., 0., 28., 29., 0., 0., 0., 0., 0., 0.];
        assert_eq!(patch.image[12..24], second_slice);
        assert_eq!(patch.image[36 + 12], 142.0);
        assert_eq!(patch.support.iter().sum::<f32>(), 0.0);
        let around = volume().window([2, 2, 4], [1, 1, 3]);
        assert_eq!(around.support, [0.0, 0.25, 0.0]);
        let far = volume().window([0, 0, 9], [3, 3, 4]);
        assert!(far.image.iter().all(|&v| v == 0.0));
    }

    #[test]
    fn crops_find_the_only_foreground_voxel_and_repeat_with_the_seed() {
        let hits = (0..60)
            .filter(|&seed| volume().crop([2, 2, 2], seed).labels.contains(&2))
            .count();
        assert!(hits >= 30, "{hits} of 60 crops hold the structure");
        let (a, b) = (volume().crop([3, 3, 3], 9), volume().crop([3, 3, 3], 9));
        assert_eq!(a.image, b.image);
    }

    #[test]
    fn a_margin_is_what_lies_about_the_patch() {
        for seed in 0..10 {
            let inner = volume().crop([2, 2, 2], seed);
            let outer = volume().crop_with([2, 2, 2], [1, 2, 3], seed, FOREGROUND);
            let at = |z: usize, y: usize, x: usize| ((z + 1) * 6 + y + 2) * 8 + x + 3;
            for (i, &value) in inner.image[..8].iter().enumerate() {
                assert_eq!(outer.image[at(i / 4, i / 2 % 2, i % 2)], value, "{seed}");
            }
        }
    }

    /// Label values may be as large as they like, and negative ones are background.
    #[test]
    fn labels_of_any_value_are_found() {
        let mut odd = volume();
        odd.labels.fill(-3);
        odd.labels[77] = i32::MAX;
        let seen = (0..60).filter(|&seed| odd.crop([2, 2, 2], seed).labels.contains(&i32::MAX));
        assert!(seen.count() >= 30);
    }

    /// A class of one voxel as often as another.
    #[test]
    fn every_class_is_drawn() {
        let mut two = volume();
        two.labels[3] = 1;
        let mut rng = ChaCha8Rng::seed_from_u64(4);
        let found: Vec<_> = (0..40).map(|_| two.foreground_voxel(&mut rng)).collect();
        for voxel in [[0, 0, 3], [2, 2, 5]] {
            let times = found.iter().filter(|&&place| place == Some(voxel)).count();
            assert!(times >= 8, "{voxel:?} {times}");
        }
    }

    #[test]
    fn arrays_of_the_wrong_length_are_refused() {
        let mut bad = volume();
        bad.labels.pop();
        assert!(matches!(
            InMemory::new(vec![volume(), bad]),
            Err(PerturbError::Extent {
                case: 1,
                what: "labels",
                expected: 120,
                found: 119
            })
        ));
    }
}
