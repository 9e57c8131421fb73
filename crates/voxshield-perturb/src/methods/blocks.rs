use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{CodeInput, Make, Needs, PerturbationMethod, Strength, squares};
use crate::Support;

/// For each label a keyed sign for every block of [`BLOCK`]^3 voxels, equal in all cases: the vertex of the hypercube around which LSP draws
/// its clusters.
pub(super) const METHOD: PerturbationMethod = PerturbationMethod {
    name: "blocks",
    title: "for each label a keyed pattern of constant blocks of 8^3 voxels",
    source: "LSP, arXiv 2111.00898, in 3D",
    needs: Needs::Labels,
    strength: Some(Strength::measured(
        Support::Full,
        [0.844, 0.756],
        [0.836, 0.640],
    )),
    make: Make::Code(code),
};

const BLOCK: usize = 8;

fn code(input: &CodeInput<'_>) -> Vec<f32> {
    let slices = input.slices();
    let first = slices.start / BLOCK;
    let [_, height, width] = input.shape.map(|n| n.div_ceil(BLOCK));
    let grid = [slices.end.div_ceil(BLOCK) - first, height, width];
    let signs = |label| squares::fill(grid, |[z, y, x]| sign(input.seed, label, [first + z, y, x]));
    squares::by_label(input, signs, |at| {
        let [z, y, x] = at.map(|i| i / BLOCK);
        ((z - first) * height + y) * width + x
    })
}

/// A stream for each label and block, so that volumes of different shapes have the same pattern.
fn sign(seed: u64, label: u16, block: [usize; 3]) -> f32 {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let [z, y, x] = block.map(|i| i as u64 & 0xFFFF);
    rng.set_stream(u64::from(label) << 48 | z << 32 | y << 16 | x);
    if rng.random::<bool>() { 1.0 } else { -1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_constant_and_do_not_depend_on_the_shape() {
        let small = code(&CodeInput {
            labels: &[1; 9 * 10 * 17],
            first: 0,
            shape: [9, 10, 17],
            seed: 4,
        });
        let large = code(&CodeInput {
            labels: &[1; 16 * 16 * 32],
            first: 0,
            shape: [16, 16, 32],
            seed: 4,
        });
        for (z, y, x) in [(0, 0, 0), (7, 7, 7), (8, 9, 16), (3, 8, 15)] {
            let (a, b) = (small[(z * 10 + y) * 17 + x], large[(z * 16 + y) * 32 + x]);
            assert_eq!(a, b);
            assert_eq!(b, large[((z / 8 * 8) * 16 + y / 8 * 8) * 32 + x / 8 * 8]);
        }
        assert!(large.contains(&1.0) && large.contains(&-1.0));
    }
}
