//! What a victim does to its training patches.

mod draw;
mod intensities;
mod spatial;

use serde::{Deserialize, Serialize};
use voxshield_perturb::Patch;

use self::draw::{Draw, LARGEST_ANGLE, LARGEST_SCALE};
use self::spatial::{mirror, spatial};
use crate::shape::{same_length, volumes, voxels};
use crate::{EvalError, Preprocessing};

/// What a victim does to its training patches.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Augmentation {
    /// Nothing: the setting in which the field reports its numbers.
    #[default]
    None,
    /// nnU-Net's default transforms with its ranges and probabilities, each drawn for each channel where it is about intensities:
    ///
    /// | transform | probability | drawn evenly from |
    /// |---|---|---|
    /// | rotation about every axis | 0.2 | -30 to 30 degrees |
    /// | scaling of the content | 0.2 | 0.7 to 1, or as often 1 to 1.4 |
    /// | Gaussian noise | 0.1 | deviation 0 to 0.1 |
    /// | blur | 0.2, and each channel 0.5 | sigma 0.5 to 1 voxels |
    /// | brightness, a factor on z-scores | 0.15 | 0.75 to 1.25 |
    /// | contrast about the mean | 0.15 | 0.75 to 1.25 |
    /// | low resolution | 0.25, and each channel 0.5 | 0.5 to 1 of the voxels of an axis |
    /// | gamma of the negative | 0.1 | 0.7 to 1.5 |
    /// | gamma | 0.3 | 0.7 to 1.5 |
    /// | mirroring of each axis | 0.5 | |
    NnUnet,
}

/// Voxels about a patch of `shape` that [`augment`] wants to see, on either side of each axis: what one rotation by the largest angle
/// and the largest scale reach.
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
/// rotation and scaling bring in; beyond it there are zeros and background.
///
/// `preprocessing` says what the intensities are: noise and brightness are those of z-scores, and of other intensities what
/// corresponds to them.
///
/// # Errors
/// [`EvalError::Empty`] for a `shape` without voxels, [`EvalError::Length`] if an array of the patch does not fit shape and margin.
pub fn augment(
    patch: &Patch,
    shape: [usize; 3],
    margin: [usize; 3],
    preprocessing: Preprocessing,
    seed: u64,
) -> Result<Patch, EvalError> {
    let inner = voxels(shape)?;
    let outer = [0, 1, 2].map(|axis| shape[axis].saturating_add(margin[axis].saturating_mul(2)));
    let count = volumes("image of the patch", patch.image.len(), outer)?;
    same_length("labels of the patch", count, patch.labels.len())?;
    same_length("support of the patch", count, patch.support.len())?;
    let draw = Draw::of(seed, patch.image.len() / count, inner);
    let mut patch = spatial(patch, shape, margin, draw.angles, draw.scale);
    let (centre, deviation) = preprocessing.unit();
    for (values, drawn) in patch.image.chunks_mut(inner).zip(&draw.channels) {
        drawn.apply(values, shape, centre, deviation);
    }
    for axis in (0..3).filter(|&axis| draw.mirrored[axis]) {
        let channels = patch.image.chunks_mut(inner);
        channels.for_each(|channel| mirror(channel, shape, axis));
        mirror(&mut patch.labels, shape, axis);
        mirror(&mut patch.support, shape, axis);
    }
    Ok(patch)
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
    fn augmentation_repeats_with_its_seed_and_keeps_the_label_values() {
        let (original, shape) = patch();
        let mut changed = 0;
        for seed in 0..20 {
            let a = augment(&original, shape, [0; 3], Preprocessing::Plain, seed).unwrap();
            let b = augment(&original, shape, [0; 3], Preprocessing::Plain, seed).unwrap();
            assert_eq!(a.image, b.image);
            assert!(a.labels.iter().all(|l| (0..3).contains(l)));
            assert!(a.image.iter().all(|v| v.is_finite()));
            changed += usize::from(a.image != original.image);
        }
        assert!(changed > 15);
    }

    /// Whatever is done to a patch, its image stays where its label is: the structure is bright.
    #[test]
    fn labels_move_with_their_image() {
        let shape = [12, 13, 14];
        let margin = augmentation_margin(shape);
        let outer = [0, 1, 2].map(|axis| shape[axis] + 2 * margin[axis]);
        let [_, height, width] = outer;
        let voxels: usize = outer.iter().product();
        // Off the centre along every axis, to one side.
        let inside = |i: usize| {
            let at = [i / (height * width), i / width % height, i % width];
            [0, 1, 2].map(|a| (1..6).contains(&(at[a] as i32 - margin[a] as i32))) == [true; 3]
        };
        let labels: Vec<i32> = (0..voxels).map(|i| i32::from(inside(i))).collect();
        let patch = Patch {
            image: labels.iter().map(|&label| 3.0 * label as f32).collect(),
            support: labels.iter().map(|&label| label as f32).collect(),
            labels,
        };
        let mut survived = 0;
        for seed in 0..200 {
            let changed = augment(&patch, shape, margin, Preprocessing::Plain, seed).unwrap();
            let mean = |label: i32| {
                let pairs = changed.image.iter().zip(&changed.labels);
                let own: Vec<f32> = pairs
                    .filter(|(_, l)| **l == label)
                    .map(|(v, _)| *v)
                    .collect();
                (!own.is_empty()).then(|| own.iter().sum::<f32>() / own.len() as f32)
            };
            let (Some(outside), Some(within)) = (mean(0), mean(1)) else {
                continue;
            };
            assert!(within > outside + 1.0, "{seed}: {within} {outside}");
            let support = changed.support.iter().zip(&changed.labels);
            assert!(support.into_iter().all(|(s, &l)| *s == l as f32), "{seed}");
            survived += 1;
        }
        assert!(survived > 150, "{survived}");
    }

    #[test]
    fn a_patch_that_does_not_fit_is_refused() {
        let (original, shape) = patch();
        let run = |patch: &Patch, shape, margin| {
            augment(patch, shape, margin, Preprocessing::Plain, 1).unwrap_err()
        };
        let empty = run(&original, [6, 0, 8], [0; 3]);
        assert!(matches!(empty, EvalError::Empty { shape: [6, 0, 8] }));
        let length = |error| match error {
            EvalError::Length {
                expected, found, ..
            } => (expected, found),
            other => panic!("{other}"),
        };
        assert_eq!(length(run(&original, shape, [1, 0, 0])), (448, 336));
        assert_eq!(length(run(&original, shape, [usize::MAX; 3])).1, 336);
        let short = Patch {
            labels: vec![0; 335],
            ..original
        };
        assert_eq!(length(run(&short, shape, [0; 3])), (336, 335));
    }
}
