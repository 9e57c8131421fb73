use std::ops::Range;

use super::{Each, weight};
use crate::slices::{CaseSlices, parts};

const BINS: usize = 256;

/// Where the mean over the channels is above Otsu's threshold, filled along each row.
pub(super) fn masks(case: &dyn CaseSlices, at_once: usize, each: Each<'_>) {
    let [depth, _, width] = case.shape();
    let mut histogram = [0u64; BINS];
    for slices in parts(depth, at_once) {
        for v in mean(case, slices) {
            histogram[((v.clamp(0.0, 1.0) * BINS as f32) as usize).min(BINS - 1)] += 1;
        }
    }
    let threshold = otsu(&histogram);
    for slices in parts(depth, at_once) {
        let mut mask = mean(case, slices.clone());
        for row in mask.chunks_mut(width.max(1)) {
            let inside = |v: &f32| *v > threshold;
            let first = row.iter().position(inside).unwrap_or(width);
            let last = row.iter().rposition(inside).unwrap_or(0);
            for (column, v) in row.iter_mut().enumerate() {
                *v = weight((first..=last).contains(&column));
            }
        }
        each(slices, &mask);
    }
}

/// The mean over the channels at the voxels of some slices.
fn mean(case: &dyn CaseSlices, slices: Range<usize>) -> Vec<f32> {
    let [_, height, width] = case.shape();
    let mut mean = vec![0f32; slices.len() * height * width];
    let channels = case.channels().max(1) as f32;
    for channel in case.image(slices).chunks(mean.len().max(1)) {
        for (m, v) in mean.iter_mut().zip(channel) {
            *m += v / channels;
        }
    }
    mean
}

/// Otsu's threshold of values in 0..1: the split of their histogram with the largest variance between the two classes. 0 for a
/// constant image.
fn otsu(histogram: &[u64; BINS]) -> f32 {
    let total = histogram.iter().sum::<u64>() as f64;
    let sum: f64 = (0..BINS).map(|i| i as f64 * histogram[i] as f64).sum();
    let (mut below, mut sum_below, mut best, mut threshold) = (0.0, 0.0, 0.0, 0.0);
    for (bin, &count) in histogram.iter().enumerate().take(BINS - 1) {
        below += count as f64;
        sum_below += bin as f64 * count as f64;
        let above = total - below;
        if below == 0.0 || above == 0.0 {
            continue;
        }
        let contrast = sum_below / below - (sum - sum_below) / above;
        let variance = below * above * contrast * contrast;
        if variance > best {
            best = variance;
            threshold = (bin + 1) as f32 / BINS as f32;
        }
    }
    threshold
}

#[cfg(test)]
mod tests {
    use crate::Support;

    #[test]
    fn otsu_splits_two_clusters_and_rows_are_filled() {
        let image = [0.1, 0.8, 0.1, 0.9, 0.1, 0.1, 0.12, 0.1];
        assert_eq!(
            Support::Body.mask(&image, &[0; 8], [2, 1, 4], 0).unwrap(),
            [0., 1., 1., 1., 0., 0., 0., 0.]
        );
    }
}
