use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Each voxel with probability `share`, drawn from `key` alone.
pub(super) fn mask(voxels: usize, share: f64, key: u64) -> Vec<bool> {
    let mut rng = ChaCha8Rng::seed_from_u64(key);
    (0..voxels).map(|_| rng.random::<f64>() < share).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_is_kept_and_the_key_decides() {
        let voxels = 40_000;
        let a = mask(voxels, 0.3, 7);
        let count = a.iter().filter(|&&inside| inside).count() as f64;
        // Five standard deviations of the binomial.
        let slack = 5.0 * (voxels as f64 * 0.3 * 0.7).sqrt();
        assert!((count - 0.3 * voxels as f64).abs() < slack, "{count}");
        assert_eq!(a, mask(voxels, 0.3, 7));
        assert_ne!(a, mask(voxels, 0.3, 8));
    }
}
