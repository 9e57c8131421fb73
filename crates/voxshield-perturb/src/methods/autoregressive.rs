use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{CodeInput, Make, Needs, PerturbationMethod, Strength, squares};
use crate::Support;

/// For each label a process `v(p) = sum_k a_k v(p - k) + u(p)` over the 26 predecessors `k` in `{0, 1, 2}^3`, with keyed
/// coefficients and signs `u`, scaled to two standard deviations.
///
/// The original has no `u` and coefficients of sum 1, whose 3D processes die out or grow; here `sum |a_k| = 0.95`, which is stable for
/// every draw, and `u` keeps it going.
pub(super) const METHOD: PerturbationMethod = PerturbationMethod {
    name: "autoregressive",
    title: "for each label a keyed, stable autoregressive process in 3D",
    source: "AR, arXiv 2206.03693, in 3D and driven by noise",
    needs: Needs::Labels,
    strength: Some(Strength::measured(
        Support::Roi,
        [0.867, 0.814],
        [0.819, 0.743],
    )),
    make: Make::Code(code),
};

/// The process is computed once on a tile and repeated.
const TILE: usize = 32;
/// Voxels of the start that are thrown away.
const TRANSIENT: usize = 8;
const GAIN: f32 = 0.95;

fn code(input: &CodeInput<'_>) -> Vec<f32> {
    let tile = |label| tile(input.seed, label);
    squares::by_label(input, tile, |at| squares::in_tile(at, TILE))
}

fn tile(seed: u64, label: u16) -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(u64::from(label));
    let mut weights: Vec<f32> = (0..27).map(|_| rng.random_range(-1.0..=1.0)).collect();
    weights[0] = 0.0;
    let sum: f32 = weights.iter().map(|w| w.abs()).sum();
    weights.iter_mut().for_each(|w| *w *= GAIN / sum);

    let side = TILE + TRANSIENT;
    let mut process = vec![0f32; side * side * side];
    for z in 0..side {
        for y in 0..side {
            for x in 0..side {
                let mut value = if rng.random::<bool>() { 1.0 } else { -1.0 };
                for (k, weight) in weights.iter().enumerate() {
                    let (dz, dy, dx) = (k / 9, k / 3 % 3, k % 3);
                    if z >= dz && y >= dy && x >= dx {
                        value += weight * process[((z - dz) * side + y - dy) * side + x - dx];
                    }
                }
                process[(z * side + y) * side + x] = value;
            }
        }
    }
    let kept = squares::fill([TILE; 3], |at| {
        let [z, y, x] = at.map(|i| i + TRANSIENT);
        process[(z * side + y) * side + x]
    });
    let power: f32 = kept.iter().map(|v| v * v).sum::<f32>() / kept.len() as f32;
    let scale = 1.0 / (2.0 * power.sqrt());
    kept.iter().map(|v| (v * scale).clamp(-1.0, 1.0)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_are_stable_and_differ_between_labels() {
        for seed in 0..4 {
            let (a, b) = (tile(seed, 1), tile(seed, 2));
            let energy = |t: &[f32]| t.iter().map(|v| v * v).sum::<f32>() / t.len() as f32;
            // 1/4 less what the clamp takes; a process that dies out or grows is far from it.
            assert!((0.15..0.26).contains(&energy(&a)), "{}", energy(&a));
            let halves = a.split_at(a.len() / 2);
            let ratio = energy(halves.0) / energy(halves.1);
            assert!((0.8..1.25).contains(&ratio), "{ratio}");
            let product: f32 = a.iter().zip(&b).map(|(a, b)| a * b).sum();
            assert!(product.abs() < 0.1 * 0.25 * a.len() as f32, "{product}");
        }
    }
}
