use super::{CodeInput, Make, Needs, PerturbationMethod, Strength, squares};
use crate::Support;

/// `(-1)^z`: the pattern that the inter-slice term drives a generator to, without the training.
pub(super) const METHOD: PerturbationMethod = PerturbationMethod {
    name: "alternating-slices",
    title: "+epsilon and -epsilon alternate from slice to slice",
    source: "closed form of the inter-slice divergence's optimum",
    needs: Needs::Nothing,
    strength: Some(Strength::measured(
        Support::Roi,
        [0.037, 0.657],
        [0.031, 0.427],
    )),
    make: Make::Code(code),
};

fn code(input: &CodeInput<'_>) -> Vec<f32> {
    squares::slices(input, |at| {
        squares::lattice(at, input.shape, [true, false, false])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_alternate_and_are_constant() {
        let input = CodeInput {
            labels: &[0; 12],
            first: 0,
            shape: [3, 2, 2],
            seed: 0,
        };
        // The middle of three slices, counted from 0, is rounded up to 2.
        let expected = [1.0; 4].into_iter().chain([-1.0; 4]).chain([1.0; 4]);
        assert_eq!(code(&input), expected.collect::<Vec<f32>>());
    }
}
