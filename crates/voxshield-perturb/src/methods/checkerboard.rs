use super::{CodeInput, Make, Needs, PerturbationMethod, Strength, squares};
use crate::Support;

/// `(-1)^(z + y + x)`: the corner of the spectrum, where images have the least energy of their own.
pub(super) const METHOD: PerturbationMethod = PerturbationMethod {
    name: "checkerboard",
    title: "+epsilon and -epsilon alternate along all three axes",
    source: "closed form: the frequency at which images are quietest",
    needs: Needs::Nothing,
    strength: Some(Strength::measured(
        Support::Roi,
        [0.337, 0.760],
        [0.016, 0.351],
    )),
    make: Make::Code(code),
};

fn code(input: &CodeInput<'_>) -> Vec<f32> {
    squares::slices(input, |at| squares::lattice(at, input.shape, [true; 3]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_face_neighbour_has_the_other_sign() {
        let shape = [3, 4, 5];
        let code = code(&CodeInput {
            labels: &[0; 60],
            first: 0,
            shape,
            seed: 0,
        });
        let at = |z: usize, y: usize, x: usize| code[(z * 4 + y) * 5 + x];
        for (z, y, x) in [(0, 0, 0), (1, 2, 3), (1, 1, 1)] {
            let here = at(z, y, x);
            assert_eq!(here.abs(), 1.0);
            assert_eq!(
                [at(z + 1, y, x), at(z, y + 1, x), at(z, y, x + 1)],
                [-here; 3]
            );
        }
    }
}
