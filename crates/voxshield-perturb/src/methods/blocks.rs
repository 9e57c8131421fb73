use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{CodeInput, Make, Needs, PerturbationMethod, Strength, squares};
use crate::Support;
use crate::window::from_middle;

/// For each label a keyed sign for every block of [`BLOCK`]^3 voxels, counted from the middle of the volume and equal in all cases: the vertex of the hypercube around which LSP draws
/// its clusters.
pub(super) const METHOD: PerturbationMethod = PerturbationMethod {
    name: "blocks",
    title: "for each label a keyed pattern of constant blocks of 8^3 voxels",
    source: "LSP, arXiv 2111.00898, in 3D",
    needs: Needs::Labels,
    strength: Some(Strength::measured(
        Support::Full,
        [0.852, 0.761],
        [0.815, 0.376],
    )),
    make: Make::KeyedCode(code),
};

const BLOCK: i64 = 8;

fn code(input: &CodeInput<'_>) -> Vec<f32> {
    let shape = input.shape;
    let slices = input.slices();
    let block = |at: usize, axis: usize| from_middle(at as i64, shape[axis]).div_euclid(BLOCK);
    let first = [block(slices.start, 0), block(0, 1), block(0, 2)];
    let count = |axis: usize, end: usize| (block(end - 1, axis) - first[axis] + 1) as usize;
    let grid = [count(0, slices.end), count(1, shape[1]), count(2, shape[2])];
    let signs = |label| {
        squares::fill(grid, |at| {
            let block = [0, 1, 2].map(|axis| first[axis] + at[axis] as i64);
            sign(input.seed, label, block)
        })
    };
    squares::by_label(input, signs, |at| {
        let [z, y, x] = [0, 1, 2].map(|axis| (block(at[axis], axis) - first[axis]) as usize);
        (z * grid[1] + y) * grid[2] + x
    })
}

/// A stream for each label and block, so that volumes of different shapes have the same pattern.
fn sign(seed: u64, label: u16, block: [i64; 3]) -> f32 {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    // Blocks before the middle are negative: they wrap.
    let [z, y, x] = block.map(|i| i as u64 & 0xFFFF);
    rng.set_stream(u64::from(label) << 48 | z << 32 | y << 16 | x);
    if rng.random::<bool>() { 1.0 } else { -1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(shape: [usize; 3]) -> Vec<f32> {
        let labels = vec![1; shape.iter().product()];
        code(&CodeInput {
            labels: &labels,
            first: 0,
            shape,
            seed: 4,
        })
    }

    #[test]
    fn blocks_are_constant_and_agree_about_the_middle() {
        let (small, large) = (of([9, 10, 17]), of([16, 16, 32]));
        for (z, y, x) in [(0, 0, 0), (7, 7, 7), (8, 9, 16), (3, 8, 15)] {
            // The middles are (5, 5, 9) and (8, 8, 16).
            let [z2, y2, x2] = [z + 3, y + 3, x + 7];
            assert_eq!(
                small[(z * 10 + y) * 17 + x],
                large[(z2 * 16 + y2) * 32 + x2]
            );
            let corner = large[((z2 / 8 * 8) * 16 + y2 / 8 * 8) * 32 + x2 / 8 * 8];
            assert_eq!(large[(z2 * 16 + y2) * 32 + x2], corner);
        }
        assert!(large.contains(&1.0) && large.contains(&-1.0));
    }
}
