use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{Each, weight};
use crate::slices::{CaseSlices, parts};

/// Each voxel with probability `share`, drawn from `key` alone.
pub(super) fn masks(case: &dyn CaseSlices, share: f64, key: u64, at_once: usize, each: Each<'_>) {
    let [depth, height, width] = case.shape();
    let mut rng = ChaCha8Rng::seed_from_u64(key);
    for slices in parts(depth, at_once) {
        let mask: Vec<f32> = (0..slices.len() * height * width)
            .map(|_| weight(rng.random::<f64>() < share))
            .collect();
        each(slices, &mask);
    }
}

#[cfg(test)]
mod tests {
    use crate::Support;

    #[test]
    fn the_share_is_kept_and_the_key_decides() {
        let mask = |key| {
            let support = Support::KeyedRandom { share: 0.3 };
            support.mask(&[], &[0; 40_000], [10, 40, 100], key).unwrap()
        };
        let (a, voxels) = (mask(7), 40_000.0_f64);
        let count = f64::from(a.iter().sum::<f32>());
        // Five standard deviations of the binomial.
        let slack = 5.0 * (voxels * 0.3 * 0.7).sqrt();
        assert!((count - 0.3 * voxels).abs() < slack, "{count}");
        assert_eq!(a, mask(7));
        assert_ne!(a, mask(8));
    }
}
