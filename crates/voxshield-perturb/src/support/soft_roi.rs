use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::{Each, lines::along, weight};
use crate::{
    PerturbError,
    slices::{CaseSlices, parts, widened},
};

/// A peak below this is no structure; an empty mask stays empty.
const LEAST_PEAK: f32 = 1e-6;
/// Kernels longer than this reach over any volume; it also bounds the memory of a kernel.
const LONGEST: usize = 1025;

/// A region of interest with a margin that fades: `mask = G_sigma * dilate^iterations(label > 0)`, divided by its peak.
///
/// - `dilate`: maximum over a cube of `kernel` voxels a side; outside the volume there is nothing.
/// - `G_sigma`: Gaussian `exp(-d^2 / (2 sigma^2))`, cut at a length of `6 sigma + 1` voxels (the next odd whole number) and
///   normalised to sum 1; the volume's border is replicated. `sigma` 0 is no smoothing.
///
/// All lengths are in voxels, the same along every axis, whatever the spacing. The mask is exactly 0 further than
/// `iterations * (kernel - 1) / 2 + 3 sigma` voxels (per axis) from the nearest label.
///
/// Source: the reference implementation of arXiv 2605.17345.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SoftRoi {
    /// Side of the dilation's cube in voxels; odd.
    pub kernel: usize,
    /// How often the label is dilated; 0 for never.
    pub iterations: usize,
    /// Standard deviation of the Gaussian in voxels.
    pub sigma: f64,
}

/// Whose maximum becomes 1 where several cases are computed together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Peak {
    /// Each case's own: a mask does not depend on the other cases.
    #[default]
    Case,
    /// That of all of them, as the reference does with a batch; for comparisons with it.
    Batch,
}

impl Default for SoftRoi {
    fn default() -> Self {
        Self::REFERENCE
    }
}

impl SoftRoi {
    /// The reference's: dilated twice by 3 voxels, sigma 2.
    pub const REFERENCE: Self = Self {
        kernel: 3,
        iterations: 2,
        sigma: 2.0,
    };

    /// Checks the settings.
    ///
    /// # Errors
    /// [`PerturbError::Config`] for an even kernel, and for a kernel, a margin or a Gaussian of more than 1025 voxels.
    pub fn validate(self) -> Result<(), PerturbError> {
        let margin = self.iterations.saturating_mul(self.kernel / 2);
        if self.kernel.is_multiple_of(2) || self.kernel > LONGEST || margin > LONGEST {
            return Err(PerturbError::Config {
                what: "dilation of the soft region of interest",
                expected: format!("an odd kernel, kernel and margin of at most {LONGEST} voxels"),
                found: format!("kernel {}, {} iterations", self.kernel, self.iterations),
            });
        }
        // Written so that NaN is refused.
        if !(self.sigma >= 0.0 && 6.0 * self.sigma + 1.0 <= LONGEST as f64) {
            return Err(PerturbError::Config {
                what: "sigma of the soft region of interest",
                expected: format!("0 to {} voxels", (LONGEST - 1) / 6),
                found: self.sigma.to_string(),
            });
        }
        Ok(())
    }

    /// The masks of `[batch, depth, height, width]` labels, each 0..1 and like the labels; `shape` is `[depth, height, width]`.
    /// They hold for every channel. A case without labels has an empty mask.
    ///
    /// # Errors
    /// [`PerturbError::Config`] as [`validate`](Self::validate), and if the labels are not whole volumes of `shape`.
    pub fn masks(
        self,
        labels: &[u16],
        shape: [usize; 3],
        peak: Peak,
    ) -> Result<Vec<f32>, PerturbError> {
        self.validate()?;
        let voxels: usize = shape.iter().product();
        if voxels == 0 || !labels.len().is_multiple_of(voxels) {
            return Err(PerturbError::Config {
                what: "labels",
                expected: format!("whole volumes of {shape:?} voxels"),
                found: format!("{} voxels", labels.len()),
            });
        }
        let mut masks = Vec::with_capacity(labels.len());
        for case in labels.chunks(voxels) {
            masks.extend(self.smoothed(case, shape, 0..shape[0]));
        }
        let together = match peak {
            Peak::Case => voxels,
            Peak::Batch => labels.len().max(1),
        };
        for cases in masks.chunks_mut(together) {
            let peak = cases.iter().copied().fold(LEAST_PEAK, f32::max);
            for value in cases {
                *value /= peak;
            }
        }
        Ok(masks)
    }

    /// How far, in voxels along each axis, a voxel's mask looks.
    pub(super) fn reach(self) -> usize {
        self.radius() + gaussian(self.sigma).len() / 2
    }

    fn radius(self) -> usize {
        self.iterations * (self.kernel / 2)
    }

    /// The mask of a case, so many slices at a time, with its own peak.
    pub(super) fn each(self, case: &dyn CaseSlices, at_once: usize, each: Each<'_>) {
        let [depth, height, width] = case.shape();
        let part = |slices: Range<usize>| {
            let read = widened(&slices, self.reach(), depth);
            let kept = slices.start - read.start..slices.end - read.start;
            self.smoothed(
                &case.labels(read.clone()),
                [read.len(), height, width],
                kept,
            )
        };
        // What no voxel exceeds: the Gaussian's weights are positive, and rounding keeps the order.
        let kernel = gaussian(self.sigma);
        let mut most = [1.0];
        for _ in 0..3 {
            let line = most;
            smooth(&line, &kernel, &mut most);
        }
        let mut peak = LEAST_PEAK;
        // The only part is kept; several are computed again.
        let mut only = None;
        for slices in parts(depth, at_once) {
            let values = part(slices.clone());
            peak = values.iter().copied().fold(peak, f32::max);
            only = (slices.len() == depth).then_some(values);
            if peak >= most[0] {
                break;
            }
        }
        for slices in parts(depth, at_once) {
            let mut values = only.take().unwrap_or_else(|| part(slices.clone()));
            values.iter_mut().for_each(|value| *value /= peak);
            each(slices, &values);
        }
    }

    /// The smoothed mask of the slices `kept` of `labels`, `shape` = `[slices, height, width]`, before it is divided by its peak.
    fn smoothed(self, labels: &[u16], shape: [usize; 3], kept: Range<usize>) -> Vec<f32> {
        let slice = shape[1] * shape[2];
        if labels.iter().all(|&label| label == 0) {
            return vec![0.0; kept.len() * slice];
        }
        let mut values: Vec<f32> = labels.iter().map(|&label| weight(label > 0)).collect();
        // A maximum over a cube is a maximum along each axis in turn, and repeated ones add their radii.
        let (radius, kernel) = (self.radius(), gaussian(self.sigma));
        for axis in 0..3 {
            along(&mut values, shape, axis, |line, out| {
                dilate(line, radius, out);
            });
        }
        along(&mut values, shape, 0, |line, out| {
            smooth(line, &kernel, out)
        });
        values.truncate(kept.end * slice);
        values.drain(..kept.start * slice);
        let shape = [kept.len(), shape[1], shape[2]];
        for axis in 1..3 {
            along(&mut values, shape, axis, |line, out| {
                smooth(line, &kernel, out);
            });
        }
        values
    }
}

/// The normalised Gaussian of `int(6 sigma + 1)` taps, one more where that is even.
fn gaussian(sigma: f64) -> Vec<f64> {
    if sigma == 0.0 {
        return vec![1.0];
    }
    let radius = (6.0 * sigma + 1.0) as usize / 2;
    let taps: Vec<f64> = (0..=2 * radius)
        .map(|tap| (-0.5 * (tap.abs_diff(radius) as f64 / sigma).powi(2)).exp())
        .collect();
    let sum: f64 = taps.iter().sum();
    taps.into_iter().map(|tap| tap / sum).collect()
}

/// 1 wherever a 1 is at most `radius` away, of a line of zeros and ones.
pub(super) fn dilate(line: &[f32], radius: usize, out: &mut [f32]) {
    let reach =
        |since: Option<usize>, at: usize| since.is_some_and(|one| at.abs_diff(one) <= radius);
    let mut last = None;
    for (at, (&value, out)) in line.iter().zip(&mut *out).enumerate() {
        last = if value > 0.0 { Some(at) } else { last };
        *out = f32::from(u8::from(reach(last, at)));
    }
    let mut next = None;
    for (at, (&value, out)) in line.iter().zip(out).enumerate().rev() {
        next = if value > 0.0 { Some(at) } else { next };
        if reach(next, at) {
            *out = 1.0;
        }
    }
}

/// The convolution with an odd, symmetric kernel; the ends of the line are repeated.
fn smooth(line: &[f32], kernel: &[f64], out: &mut [f32]) {
    let radius = kernel.len() / 2;
    let last = line.len().saturating_sub(1);
    for (at, out) in out.iter_mut().enumerate() {
        let sum: f64 = kernel
            .iter()
            .enumerate()
            .map(|(tap, weight)| {
                let from = (at + tap).saturating_sub(radius).min(last);
                weight * f64::from(line[from])
            })
            .sum();
        *out = sum as f32;
    }
}

#[cfg(test)]
mod tests {
    use voxshield_testkit::{Golden, assert_close};

    use super::*;

    const SHAPE: [usize; 3] = [10, 12, 14];
    /// The reference sums 13^3 products in f32, and is itself up to 1.2e-6 from the formula in f64.
    const TOLERANCE: f64 = 2e-6;
    const HARD: SoftRoi = SoftRoi {
        kernel: 1,
        iterations: 0,
        sigma: 0.0,
    };
    const DILATED: SoftRoi = SoftRoi {
        sigma: 0.0,
        ..SoftRoi::REFERENCE
    };
    const SMOOTHED: SoftRoi = SoftRoi {
        iterations: 0,
        ..SoftRoi::REFERENCE
    };
    const OTHER: SoftRoi = SoftRoi {
        kernel: 5,
        iterations: 1,
        sigma: 1.0,
    };

    fn labels(golden: &Golden) -> Vec<u16> {
        assert_eq!(golden.shape("label"), [3, 10, 12, 14]);
        golden.ints("label").iter().map(|&l| l as u16).collect()
    }

    #[test]
    fn batches_are_the_references() {
        let golden = Golden::open("f_roi_mask");
        let labels = labels(&golden);
        for (roi, key, tolerance) in [
            (HARD, "mask_hard", 0.0),
            (DILATED, "mask_dilate_only", 0.0),
            (SMOOTHED, "mask_gauss_only", TOLERANCE),
            (SoftRoi::REFERENCE, "mask_soft_default", TOLERANCE),
            (OTHER, "mask_soft_k5_s1", TOLERANCE),
        ] {
            let masks = roi.masks(&labels, SHAPE, Peak::Batch).unwrap();
            assert_close(key, &masks, &golden.values(key), tolerance);
            // The third case has no label.
            assert!(masks[2 * 1680..].iter().all(|&v| v == 0.0), "{key}");
        }
    }

    #[test]
    fn a_case_has_the_mask_that_the_reference_gives_it_alone() {
        let golden = Golden::open("f_roi_mask");
        let labels = labels(&golden);
        let masks = SoftRoi::REFERENCE
            .masks(&labels, SHAPE, Peak::Case)
            .unwrap();
        let alone = golden.values("mask_soft_sample1_alone");
        assert_close("alone", &masks[1680..2 * 1680], &alone, TOLERANCE);
        let batch = golden.values("mask_soft_default");
        assert_close("first", &masks[..1680], &batch[..1680], TOLERANCE);
        assert_eq!(Peak::default(), Peak::Case);
        let empty = golden.values("mask_soft_all_empty");
        for peak in [Peak::Case, Peak::Batch] {
            let masks = SoftRoi::REFERENCE.masks(&[0; 125], [5; 3], peak).unwrap();
            assert_close("empty", &masks, &empty, 0.0);
        }
    }

    #[test]
    fn kernels_are_the_references() {
        let golden = Golden::open("f_roi_mask");
        for (roi, key) in [
            (SoftRoi::REFERENCE, "kernel1d_soft_default"),
            (SMOOTHED, "kernel1d_gauss_only"),
            (OTHER, "kernel1d_soft_k5_s1"),
        ] {
            let kernel: Vec<f32> = gaussian(roi.sigma).iter().map(|&v| v as f32).collect();
            assert_close(key, &kernel, &golden.values(key), 1e-7);
        }
        // int(6 * 0.4 + 1) is 3, int(6 * 0.5 + 1) is 4 and becomes 5.
        assert_eq!(
            [0.0, 0.1, 0.4, 0.5].map(|s| gaussian(s).len()),
            [1, 1, 3, 5]
        );
    }

    #[test]
    fn the_margin_ends_where_the_documentation_says() {
        let shape = [31, 1, 3];
        let mut labels = [0; 93];
        labels[15 * 3 + 1] = 7;
        let mask = SoftRoi::REFERENCE
            .masks(&labels, shape, Peak::Case)
            .unwrap();
        let column: Vec<f32> = (0..31).map(|z| mask[3 * z + 1]).collect();
        let support: Vec<usize> = (0..31).filter(|&z| column[z] > 0.0).collect();
        assert_eq!(support, (15 - 8..=15 + 8).collect::<Vec<_>>());
        assert_eq!(column[15], 1.0);
        assert!(mask.iter().all(|v| (0.0..=1.0).contains(v)));
    }

    #[test]
    fn settings_out_of_range_and_ragged_labels_are_refused() {
        let reference = SoftRoi::REFERENCE;
        for bad in [
            SoftRoi {
                kernel: 4,
                ..reference
            },
            SoftRoi {
                kernel: 0,
                ..reference
            },
            SoftRoi {
                kernel: usize::MAX,
                ..reference
            },
            SoftRoi {
                iterations: usize::MAX,
                ..reference
            },
            SoftRoi {
                sigma: -1.0,
                ..reference
            },
            SoftRoi {
                sigma: f64::NAN,
                ..reference
            },
            SoftRoi {
                sigma: 1e9,
                ..reference
            },
        ] {
            let error = bad.masks(&[1; 8], [2; 3], Peak::Case);
            assert!(matches!(error, Err(PerturbError::Config { .. })), "{bad:?}");
        }
        assert!(reference.masks(&[1; 9], [2; 3], Peak::Case).is_err());
        assert!(reference.masks(&[], [0, 2, 2], Peak::Case).is_err());
    }
}
