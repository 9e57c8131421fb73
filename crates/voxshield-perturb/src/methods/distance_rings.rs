use std::ops::Range;

use super::{
    CaseCode, Make, Needs, PerturbationMethod, Strength,
    distance::{NONE, Spread},
};
use crate::{CaseSlices, Support};

/// Signs that alternate with the distance to the boundary of the labelled voxels: inside +1 at the first voxel, -1 at the second, ...;
/// outside -1, +1, ... The pattern has a fixed place relative to the label, not to the grid.
pub(super) const METHOD: PerturbationMethod = PerturbationMethod {
    name: "distance-rings",
    title: "signs alternate with the distance to the label's boundary, inside and outside (support full)",
    source: "inferred: a shortcut that convolutions find at any offset",
    needs: Needs::Labels,
    strength: Some(Strength::measured(
        Support::Full,
        [0.865, 0.815],
        [0.751, 0.652],
    )),
    make: Make::CaseCode(|case, _| Box::new(Rings::of(case))),
};

type Steps = Spread<fn(u16) -> u32>;

struct Rings {
    to_label: Steps,
    to_background: Steps,
}

impl Rings {
    fn of(case: &dyn CaseSlices) -> Self {
        Self {
            to_label: Spread::new(case, 1, |label| if label > 0 { 0 } else { NONE }),
            to_background: Spread::new(case, 1, |label| if label > 0 { NONE } else { 0 }),
        }
    }
}

impl CaseCode for Rings {
    fn code(&mut self, case: &dyn CaseSlices, slices: Range<usize>) -> Vec<f32> {
        let sign = |steps: u32| if steps % 2 == 1 { 1.0 } else { -1.0 };
        let mut code = Vec::new();
        for slice in slices {
            let outer = self.to_label.slice(case, slice);
            let inner = self.to_background.slice(case, slice);
            code.extend(outer.iter().zip(inner).map(|(&outer, &inner)| match outer {
                0 => sign(inner),
                _ => -sign(outer),
            }));
        }
        code
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ArraySlices;

    #[test]
    fn signs_alternate_from_the_boundary_in_both_directions() {
        let labels = [0, 0, 0, 2, 1, 1, 1, 0];
        let case = ArraySlices::new(&[], &labels, [1, 1, 8]).unwrap();
        let code = Rings::of(&case).code(&case, 0..1);
        assert_eq!(code, [-1., 1., -1., 1., -1., -1., 1., -1.]);
    }
}
