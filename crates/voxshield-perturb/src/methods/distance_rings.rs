use super::{CodeInput, Make, Needs, PerturbationMethod, Strength, distance::steps_to};
use crate::Support;

/// Signs that alternate with the distance to the boundary of the labelled voxels: inside +1 at the first voxel, -1 at the second, ...;
/// outside -1, +1, ... The pattern has a fixed place relative to the label, not to the grid.
pub(super) const METHOD: PerturbationMethod = PerturbationMethod {
    name: "distance-rings",
    title: "signs alternate with the distance to the label's boundary, inside and outside (support full)",
    source: "inferred: a shortcut that convolutions find at any offset",
    needs: Needs::Labels,
    strength: Some(Strength::measured(Support::Full, 0.864, 0.811)),
    make: Make::WholeCode(code),
};

fn code(input: &CodeInput<'_>) -> Vec<f32> {
    let inside: Vec<bool> = input.labels.iter().map(|&label| label > 0).collect();
    let to_label = steps_to(&inside, true, input.shape);
    let to_background = steps_to(&inside, false, input.shape);
    let sign = |steps: u32| if steps % 2 == 1 { 1.0 } else { -1.0 };
    inside
        .iter()
        .zip(to_label.iter().zip(&to_background))
        .map(|(&inside, (&outer, &inner))| match inside {
            true => sign(inner),
            false => -sign(outer),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_alternate_from_the_boundary_in_both_directions() {
        let code = code(&CodeInput {
            labels: &[0, 0, 0, 2, 1, 1, 1, 0],
            first: 0,
            shape: [1, 1, 8],
            seed: 0,
        });
        assert_eq!(code, [-1., 1., -1., 1., -1., -1., 1., -1.]);
    }
}
