/// Where the mean over the channels is above Otsu's threshold, filled along each row of `width` voxels.
pub(super) fn mask(image: &[f32], voxels: usize, width: usize) -> Vec<bool> {
    let mut mean = vec![0f32; voxels];
    let channels = (image.len() / voxels.max(1)).max(1) as f32;
    for channel in image.chunks(voxels.max(1)) {
        for (m, v) in mean.iter_mut().zip(channel) {
            *m += v / channels;
        }
    }
    let threshold = otsu(&mean);
    let mut mask: Vec<bool> = mean.iter().map(|&v| v > threshold).collect();
    for row in mask.chunks_mut(width.max(1)) {
        let first = row.iter().position(|&inside| inside);
        let last = row.iter().rposition(|&inside| inside);
        if let (Some(first), Some(last)) = (first, last) {
            row[first..=last].fill(true);
        }
    }
    mask
}

/// Otsu's threshold of values in 0..1 over 256 bins: the split with the largest variance between
/// the two classes. 0 for a constant image.
fn otsu(values: &[f32]) -> f32 {
    const BINS: usize = 256;
    let mut histogram = [0u64; BINS];
    for &v in values {
        histogram[((v.clamp(0.0, 1.0) * BINS as f32) as usize).min(BINS - 1)] += 1;
    }
    let total = values.len() as f64;
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
    use super::*;

    #[test]
    fn otsu_splits_two_clusters_and_rows_are_filled() {
        let image = [0.1, 0.8, 0.1, 0.9, 0.1, 0.1, 0.12, 0.1];
        assert_eq!(
            mask(&image, 8, 4),
            [false, true, true, true, false, false, false, false]
        );
    }
}
