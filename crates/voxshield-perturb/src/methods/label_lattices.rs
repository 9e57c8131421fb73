use super::{CodeInput, Make, Needs, PerturbationMethod, Strength, squares};
use crate::Support;

/// Label `l` (0 is the background) has lattice `l mod 7` of [`AXES`], so that the pattern and not its presence tells the label.
pub(super) const METHOD: PerturbationMethod = PerturbationMethod {
    name: "label-lattices",
    title: "a lattice of period 2 for each label, and another one for the background (support body or full)",
    source: "inferred from class-wise shortcuts (EMN, AR)",
    needs: Needs::Labels,
    strength: Some(Strength::measured(
        Support::Full,
        [0.035, 0.728],
        [0.102, 0.394],
    )),
    make: Make::Code(code),
};

/// The axes along which the signs alternate, `[depth, height, width]`: all seven frequencies at the edge of the spectrum, quietest
/// in natural images first.
const AXES: [[bool; 3]; 7] = [
    [true, true, true],
    [false, true, true],
    [true, false, true],
    [true, true, false],
    [false, false, true],
    [false, true, false],
    [true, false, false],
];

fn code(input: &CodeInput<'_>) -> Vec<f32> {
    let mut labels = input.labels.iter();
    squares::slices(input, |at| {
        let label = labels.next().copied().unwrap_or(0);
        squares::lattice(at, input.shape, AXES[usize::from(label) % AXES.len()])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Different lattices are orthogonal over any block of even size.
    #[test]
    fn lattices_of_different_labels_are_orthogonal() {
        let shape = [4, 2, 6];
        let of = |label: u16| {
            code(&CodeInput {
                labels: &[label; 48],
                first: 0,
                shape,
                seed: 0,
            })
        };
        let codes: Vec<Vec<f32>> = (0..8).map(of).collect();
        for (i, a) in codes.iter().enumerate() {
            for (j, b) in codes.iter().enumerate() {
                let product: f32 = a.iter().zip(b).map(|(a, b)| a * b).sum();
                let expected = if i % 7 == j % 7 { 48.0 } else { 0.0 };
                assert_eq!(product, expected, "{i} {j}");
            }
        }
    }
}
