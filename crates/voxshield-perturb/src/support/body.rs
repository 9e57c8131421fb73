use serde::{Deserialize, Serialize};

/// Where a perturbation may be non-zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Support {
    /// Voxels with a label above 0, the paper's choice. Whoever finds the noise finds the label.
    #[default]
    Roi,
    /// Voxels of the body: intensity above Otsu's threshold, holes along each row filled.
    Body,
    /// Every voxel.
    Full,
}

impl Support {
    /// All of them, for lists.
    pub const ALL: [Self; 3] = [Self::Roi, Self::Body, Self::Full];

    /// The name used on the command line and in manifests.
    pub fn name(self) -> &'static str {
        match self {
            Self::Roi => "roi",
            Self::Body => "body",
            Self::Full => "full",
        }
    }

    /// The mask `[depth, height, width]` of a case.
    ///
    /// - `image`: `[channel, depth, height, width]`, normalised to 0..1
    /// - `labels`: `[depth, height, width]`; only `roi` reads it
    /// - `width`: the length of the last axis
    pub fn mask(self, image: &[f32], labels: &[u16], width: usize) -> Vec<bool> {
        match self {
            Self::Roi => labels.iter().map(|&label| label > 0).collect(),
            Self::Full => vec![true; labels.len()],
            Self::Body => body(image, labels.len(), width),
        }
    }
}

fn body(image: &[f32], voxels: usize, width: usize) -> Vec<bool> {
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
        let labels = [0, 0, 2, 0, 0, 1, 0, 0];
        let body = Support::Body.mask(&image, &labels, 4);
        assert_eq!(body, [false, true, true, true, false, false, false, false]);
        let roi = Support::Roi.mask(&image, &labels, 4);
        assert_eq!(roi, [false, false, true, false, false, true, false, false]);
        assert!(Support::Full.mask(&image, &labels, 4).iter().all(|&m| m));
    }
}
