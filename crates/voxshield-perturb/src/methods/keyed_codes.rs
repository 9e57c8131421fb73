use std::f32::consts::TAU;

use rand::{RngExt, SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;

use super::{CodeInput, Make, Needs, PerturbationMethod, Strength, squares};
use crate::Support;

/// For each label a field of its own with periods of 11 to 16 voxels: the sign of `f - median(f)`,
/// `f = sum_k cos(2 pi k.r / 32 + phase_k)` over wave vectors of length 2 to 3.
///
/// The seed deals the wave vectors out among eight labels, so that codes of different labels have no frequency in common. The code
/// is counted from the middle of the volume, as lattices are. Over a period it has as many +1 as -1. A Gaussian of 1 voxel leaves
/// more than half of its energy (0.55 to 0.6 measured), a resampling by 1.25 and back (linear) more; `label-fields`, with half the
/// periods, keeps less.
pub(super) const METHOD: PerturbationMethod = PerturbationMethod {
    name: "keyed-codes",
    title: "a keyed, zero-mean code for each label with periods of 11 to 16 voxels, which a blur and a resampling let through",
    source: "inferred; LSP with band-limited codes",
    needs: Needs::Labels,
    strength: Some(Strength::measured(
        Support::Full,
        [0.847, 0.770],
        [0.831, 0.550],
    )),
    make: Make::KeyedCode(code),
};

/// The code repeats after that many voxels.
const TILE: usize = 32;
/// Labels among which the wave vectors are dealt out; from the ninth on they share them, with other phases.
const HANDS: usize = 8;

fn code(input: &CodeInput<'_>) -> Vec<f32> {
    let tile = |label| tile(input.seed, label);
    squares::by_label(input, tile, |at| squares::in_tile(at, input.shape, TILE))
}

/// One period, `[TILE, TILE, TILE]` of +1 and -1.
fn tile(seed: u64, label: u16) -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut vectors = wave_vectors();
    vectors.shuffle(&mut rng);
    rng.set_stream(1 + u64::from(label));
    let waves: Vec<([i32; 3], f32)> = vectors
        .into_iter()
        .skip(usize::from(label) % HANDS)
        .step_by(HANDS)
        .map(|k| (k, rng.random::<f32>() * TAU))
        .collect();
    // k.r is a whole number of 1/TILE turns.
    let cosines = |phase: f32| -> Vec<f32> {
        (0..TILE)
            .map(|turn| (TAU * turn as f32 / TILE as f32 + phase).cos())
            .collect()
    };
    let waves: Vec<_> = waves
        .into_iter()
        .map(|(k, phase)| (k, cosines(phase)))
        .collect();
    let field = squares::fill([TILE; 3], |at| {
        waves
            .iter()
            .map(|(k, cosines)| {
                let turns: i32 = (0..3).map(|axis| k[axis] * at[axis] as i32).sum();
                cosines[turns.rem_euclid(TILE as i32) as usize]
            })
            .sum()
    });
    let mut order: Vec<usize> = (0..field.len()).collect();
    order.sort_by(|&a, &b| field[a].total_cmp(&field[b]).then(a.cmp(&b)));
    let mut signs = vec![-1.0; field.len()];
    for &voxel in &order[field.len() / 2..] {
        signs[voxel] = 1.0;
    }
    signs
}

/// Half of the wave vectors with `2 <= |k| <= 3`; the other half has the same cosines.
fn wave_vectors() -> Vec<[i32; 3]> {
    let axis = || -3i32..=3;
    axis()
        .flat_map(move |z| axis().flat_map(move |y| axis().map(move |x| [z, y, x])))
        .filter(|k| {
            let length: i32 = k.iter().map(|c| c * c).sum();
            (4..=9).contains(&length) && *k > [0, 0, 0]
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use voxshield_testkit::assert_close;

    use super::*;

    fn energy(values: &[f32]) -> f64 {
        values.iter().map(|&v| f64::from(v).powi(2)).sum()
    }

    /// A periodic linear map along each axis: output `i` is the sum of `row(i)`'s weights times inputs.
    fn along_axes(values: &[f32], row: impl Fn(usize) -> Vec<(i64, f64)>) -> Vec<f32> {
        let mut values = values.to_vec();
        for stride in [TILE * TILE, TILE, 1] {
            let before = values.clone();
            for (voxel, value) in values.iter_mut().enumerate() {
                let at = voxel / stride % TILE;
                let sum: f64 = row(at)
                    .into_iter()
                    .map(|(from, weight)| {
                        let from = from.rem_euclid(TILE as i64) as usize;
                        weight * f64::from(before[voxel - at * stride + from * stride])
                    })
                    .sum();
                *value = sum as f32;
            }
        }
        values
    }

    fn gaussian(at: usize) -> Vec<(i64, f64)> {
        let weight = |d: i64| (-0.5 * (d * d) as f64).exp();
        let sum: f64 = (-4..=4).map(weight).sum();
        (-4..=4).map(|d| (at as i64 + d, weight(d) / sum)).collect()
    }

    /// Linear interpolation on a grid 1.25 times as coarse, and linear interpolation back.
    fn resampled(at: usize) -> Vec<(i64, f64)> {
        let linear = |place: f64| {
            let below = place.floor();
            [(below, 1.0 - (place - below)), (below + 1.0, place - below)]
        };
        let coarse = linear(at as f64 / 1.25);
        coarse
            .into_iter()
            .flat_map(|(j, outer)| linear(j * 1.25).map(|(i, inner)| (i as i64, outer * inner)))
            .collect()
    }

    #[test]
    fn a_blur_and_a_resampling_leave_most_of_the_energy() {
        for label in 0..HANDS as u16 {
            let tile = tile(7, label);
            assert_eq!(tile.iter().sum::<f32>(), 0.0, "as many +1 as -1");
            let share = |values: Vec<f32>| energy(&values) / energy(&tile);
            let (blurred, resampled) = (
                share(along_axes(&tile, gaussian)),
                share(along_axes(&tile, resampled)),
            );
            assert!(
                blurred > 0.53 && resampled > 0.7,
                "{label}: {blurred} {resampled}"
            );
        }
    }

    #[test]
    fn labels_and_seeds_have_codes_of_their_own() {
        let a = tile(1, 1);
        assert_eq!(a, tile(1, 1));
        for other in [tile(1, 2), tile(1, 9), tile(2, 1)] {
            let product: f32 = a.iter().zip(&other).map(|(a, b)| a * b).sum();
            assert!(product.abs() < 0.2 * a.len() as f32, "{product}");
        }
    }

    #[test]
    fn volumes_padded_about_their_middle_agree() {
        let of = |shape: [usize; 3]| {
            let labels = vec![1; shape.iter().product()];
            let input = CodeInput {
                labels: &labels,
                first: 0,
                shape,
                seed: 3,
            };
            code(&input)
        };
        let (small, large) = (of([1, 1, 9]), of([1, 1, 16]));
        let start = (16 - 9) / 2;
        assert_close("middle", &small, &large[start..start + 9], 0.0);
    }
}
