use std::f32::consts::TAU;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{CodeInput, Make, Needs, PerturbationMethod, Strength, squares};
use crate::Support;

/// For each label a smooth field of its own, keyed by the seed and equal in all cases: the sign of
/// `sum_k cos(2 pi k.r / 16 + phase_k)` over wave vectors `k` of length 2 to 4, that is periods of 4 to 8 voxels.
/// The field is counted from the middle of the volume, as lattices are.
pub(super) const METHOD: PerturbationMethod = PerturbationMethod {
    name: "label-fields",
    title: "a keyed field for each label with periods of 4 to 8 voxels, which a mild blur lets through",
    source: "inferred; LSP with band-limited patterns",
    needs: Needs::Labels,
    strength: Some(Strength::measured(
        Support::Roi,
        [0.842, 0.786],
        [0.749, 0.416],
    )),
    make: Make::KeyedCode(code),
};

/// The field repeats after that many voxels.
const TILE: usize = 16;

fn code(input: &CodeInput<'_>) -> Vec<f32> {
    let tile = |label| tile(input.seed, label);
    squares::by_label(input, tile, |at| squares::in_tile(at, input.shape, TILE))
}

/// One period of the field, `[TILE, TILE, TILE]` of +1 and -1.
fn tile(seed: u64, label: u16) -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(u64::from(label));
    let waves: Vec<([i32; 3], f32)> = wave_vectors()
        .map(|k| (k, rng.random::<f32>() * TAU))
        .collect();
    squares::fill([TILE; 3], |at| {
        let sum: f32 = waves
            .iter()
            .map(|(k, phase)| {
                let turns: i32 = (0..3).map(|axis| k[axis] * at[axis] as i32).sum();
                (TAU * turns as f32 / TILE as f32 + phase).cos()
            })
            .sum();
        if sum < 0.0 { -1.0 } else { 1.0 }
    })
}

/// Half of the wave vectors with `2 <= |k| <= 4`; the other half has the same cosines.
fn wave_vectors() -> impl Iterator<Item = [i32; 3]> {
    let axis = || -4i32..=4;
    axis()
        .flat_map(move |z| axis().flat_map(move |y| axis().map(move |x| [z, y, x])))
        .filter(|k| {
            let length: i32 = k.iter().map(|c| c * c).sum();
            (4..=16).contains(&length) && *k > [0, 0, 0]
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_and_seeds_have_fields_of_their_own() {
        let a = tile(1, 1);
        assert_eq!(a, tile(1, 1));
        for other in [tile(1, 2), tile(2, 1)] {
            let product: f32 = a.iter().zip(&other).map(|(a, b)| a * b).sum();
            assert!(product.abs() < 0.15 * a.len() as f32, "{product}");
        }
    }

    /// White signs keep (1 / 2)^3 of their energy in a mean of 2x2x2 voxels, this field most of it.
    #[test]
    fn a_mean_of_two_voxels_leaves_most_of_it() {
        let field = tile(7, 1);
        let at =
            |z: usize, y: usize, x: usize| field[((z % TILE) * TILE + y % TILE) * TILE + x % TILE];
        let mut energy = 0.0;
        for z in 0..TILE {
            for y in 0..TILE {
                for x in 0..TILE {
                    let sum: f32 = (0..8)
                        .map(|c| at(z + (c >> 2), y + (c >> 1 & 1), x + (c & 1)))
                        .sum();
                    energy += (sum / 8.0).powi(2);
                }
            }
        }
        let share = energy / field.len() as f32;
        assert!(share > 0.4, "{share}");
    }
}
