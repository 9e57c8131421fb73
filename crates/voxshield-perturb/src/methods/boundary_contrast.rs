use super::{
    CodeInput, Make, Needs, PerturbationMethod, Strength,
    distance::{NONE, spread},
};
use crate::Support;

/// +1 at labelled voxels, -1 up to [`SHELL`] steps outside, 0 beyond.
pub(super) const METHOD: PerturbationMethod = PerturbationMethod {
    name: "boundary-contrast",
    title: "labelled voxels brighter, a shell of 2 voxels around them darker (support full)",
    source: "inferred: a shortcut of low frequency",
    needs: Needs::Labels,
    strength: Some(Strength::measured(
        Support::Full,
        [0.712, 0.581],
        [0.716, 0.483],
    )),
    make: Make::NearCode(code, SHELL as usize),
};

const SHELL: u32 = 2;

fn code(input: &CodeInput<'_>) -> Vec<f32> {
    let [_, height, width] = input.shape;
    let mut steps: Vec<u32> = (input.labels.iter())
        .map(|&label| if label > 0 { 0 } else { NONE })
        .collect();
    spread(&mut steps, [input.slices().len(), height, width], 1);
    steps
        .into_iter()
        .map(|steps| match steps {
            0 => 1.0,
            1..=SHELL => -1.0,
            _ => 0.0,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_bright_in_a_dark_shell() {
        let code = code(&CodeInput {
            labels: &[0, 0, 0, 0, 3, 1, 0, 0],
            first: 0,
            shape: [1, 1, 8],
            seed: 0,
        });
        assert_eq!(code, [0., 0., -1., -1., 1., 1., -1., -1.]);
    }
}
