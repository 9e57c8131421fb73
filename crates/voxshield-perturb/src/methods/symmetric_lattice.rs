use super::{CodeInput, Make, Needs, PerturbationMethod, Strength, squares};
use crate::Support;
use crate::window::from_middle;

/// The product over the axes of `+ - - +`, repeated: period 4, counted from the middle of the volume.
///
/// A patch whose sides are multiples of 4 has the same signs after mirroring, which turns the signs of a lattice of period 2; and a blur of
/// one voxel leaves more of a period of 4.
pub(super) const METHOD: PerturbationMethod = PerturbationMethod {
    name: "symmetric-lattice",
    title: "a lattice of period 4 along all three axes that is its own mirror image",
    source: "closed form: what mirroring leaves alone",
    needs: Needs::Nothing,
    strength: Some(Strength::measured(
        Support::Roi,
        [0.325, 0.712],
        [0.063, 0.220],
    )),
    make: Make::Code(code),
};

fn code(input: &CodeInput<'_>) -> Vec<f32> {
    let sign = |at: usize, length: usize| match from_middle(at as i64, length).rem_euclid(4) {
        0 | 3 => 1.0,
        _ => -1.0,
    };
    squares::slices(input, |at| {
        (0..3)
            .map(|axis| sign(at[axis], input.shape[axis]))
            .product()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(shape: [usize; 3]) -> Vec<f32> {
        let labels = vec![0; shape.iter().product()];
        code(&CodeInput {
            labels: &labels,
            first: 0,
            shape,
            seed: 0,
        })
    }

    #[test]
    fn a_patch_of_multiples_of_four_is_its_own_mirror_image() {
        let shape = [4, 8, 12];
        let code = of(shape);
        let at = |z: usize, y: usize, x: usize| code[(z * 8 + y) * 12 + x];
        for z in 0..4 {
            for y in 0..8 {
                for x in 0..12 {
                    let mirrored = [at(3 - z, y, x), at(z, 7 - y, x), at(z, y, 11 - x)];
                    assert_eq!(mirrored, [at(z, y, x); 3]);
                }
            }
        }
    }

    #[test]
    fn volumes_padded_about_their_middle_agree() {
        let (small, large) = (of([5, 6, 7]), of([16; 3]));
        // Padded by (16 - n) / 2 voxels in front.
        let at = |z: usize, y: usize, x: usize| large[((z + 5) * 16 + y + 5) * 16 + x + 4];
        for (index, &sign) in small.iter().enumerate() {
            assert_eq!(sign, at(index / 42, index / 7 % 6, index % 7));
        }
    }
}
