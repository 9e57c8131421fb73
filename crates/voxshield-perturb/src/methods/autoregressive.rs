use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{CodeInput, Make, Needs, PerturbationMethod, Strength, squares};
use crate::Support;

/// For each label a stationary autoregressive process in 3D,
///
/// ```text
/// v = u / (A(z) A(y) A(x)),   A(s) = 1 - 2 r cos(theta) s + r^2 s^2,
/// ```
///
/// a resonator along each axis (`s` is one voxel back), with keyed angles `theta` for each label and axis, the radius `r` = 0.9 and signs
/// `u`, scaled to two standard deviations. As a recursion it has the 26 predecessors in `{0, 1, 2}^3`; it is stable for every draw, and
/// they predict more than nine tenths of its variance. It is counted from the middle of the volume, as lattices are.
///
/// The original has random coefficients of sum 1 and no `u`; such processes die out or grow in 3D. With random coefficients small enough to be
/// stable (`sum |a_k| < 1`), as it was here until November 2026, the predecessors predict 5 to 7 % of the variance: white noise.
pub(super) const METHOD: PerturbationMethod = PerturbationMethod {
    name: "autoregressive",
    title: "for each label a keyed, stationary autoregressive process in 3D",
    source: "AR, arXiv 2206.03693, in 3D and driven by noise",
    needs: Needs::Labels,
    strength: Some(Strength::measured(
        Support::Roi,
        [0.848, 0.818],
        [0.617, 0.479],
    )),
    make: Make::KeyedCode(code),
};

/// The process is computed once on a tile and repeated.
const TILE: usize = 32;
/// Voxels of the start that are thrown away: 0.9^40 of it is left, 1.5 %.
const TRANSIENT: usize = 40;
const SIDE: usize = TILE + TRANSIENT;
/// Of the poles.
const RADIUS: f32 = 0.9;

fn code(input: &CodeInput<'_>) -> Vec<f32> {
    let tile = |label| tile(input.seed, label);
    squares::by_label(input, tile, |at| squares::in_tile(at, input.shape, TILE))
}

fn tile(seed: u64, label: u16) -> Vec<f32> {
    let process = process(seed, label);
    let kept = squares::fill([TILE; 3], |at| {
        let [z, y, x] = at.map(|i| i + TRANSIENT);
        process[(z * SIDE + y) * SIDE + x]
    });
    let power: f32 = kept.iter().map(|v| v * v).sum::<f32>() / kept.len() as f32;
    let scale = 1.0 / (2.0 * power.sqrt());
    kept.iter().map(|v| (v * scale).clamp(-1.0, 1.0)).collect()
}

/// `[SIDE, SIDE, SIDE]`, from rest.
fn process(seed: u64, label: u16) -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(u64::from(label));
    let angles: [f32; 3] = std::array::from_fn(|_| rng.random_range(0.0..std::f32::consts::PI));
    let mut values: Vec<f32> = (0..SIDE * SIDE * SIDE)
        .map(|_| if rng.random::<bool>() { 1.0 } else { -1.0 })
        .collect();
    for (stride, angle) in [SIDE * SIDE, SIDE, 1].into_iter().zip(angles) {
        let (first, second) = (2.0 * RADIUS * angle.cos(), -RADIUS * RADIUS);
        for voxel in 0..values.len() {
            let at = voxel / stride % SIDE;
            let back = |steps: usize| match at >= steps {
                true => values[voxel - steps * stride],
                false => 0.0,
            };
            values[voxel] += first * back(1) + second * back(2);
        }
    }
    values
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
            let product: f32 = a.iter().zip(&b).map(|(a, b)| a * b).sum();
            assert!(product.abs() < 0.3 * 0.25 * a.len() as f32, "{product}");
        }
    }

    /// What is left when the recursion's prediction is taken away are the signs.
    #[test]
    fn predecessors_predict_the_process() {
        for seed in 0..4 {
            let mut residual = process(seed, 1);
            let energy = |values: &[f32]| values.iter().map(|v| v * v).sum::<f32>();
            let before = energy(&residual);
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            rng.set_stream(1);
            let angles: [f32; 3] =
                std::array::from_fn(|_| rng.random_range(0.0..std::f32::consts::PI));
            for (stride, angle) in [SIDE * SIDE, SIDE, 1].into_iter().zip(angles) {
                let source = residual.clone();
                for (voxel, value) in residual.iter_mut().enumerate() {
                    let at = voxel / stride % SIDE;
                    if at >= 1 {
                        *value -= 2.0 * RADIUS * angle.cos() * source[voxel - stride];
                    }
                    if at >= 2 {
                        *value += RADIUS * RADIUS * source[voxel - 2 * stride];
                    }
                }
            }
            assert!(residual.iter().all(|v| (v.abs() - 1.0).abs() < 0.01));
            let share = energy(&residual) / before;
            assert!(share < 0.1, "{share}");
        }
    }
}
