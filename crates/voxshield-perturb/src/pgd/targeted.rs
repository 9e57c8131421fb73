use burn::tensor::{Int, Tensor};
use voxshield_kernels::DiceCe;

use super::{Criterion, Seen};
use crate::{PerturbError, morphology::contour, morphology::dilated};

/// Half the width of the band about the border of the labelled region, in voxels; UMed's.
const BAND: usize = 3;

/// `DiceCE(F(u), y')` with a wrong label `y'`: the perturbed volume looks like another one (TAP, arXiv 2106.10807).
///
/// TAP's `y' = y + 1 mod C` turns all of the background into one structure. Here `y'` stays in the region of interest and
/// within [`BAND`] voxels of it: see [`wrong_labels`].
#[derive(Debug)]
pub(super) struct Targeted {
    classes: usize,
    criterion: DiceCe,
}

impl Targeted {
    pub(super) fn new(classes: usize) -> Self {
        Self {
            classes,
            criterion: DiceCe::default(),
        }
    }
}

impl Criterion for Targeted {
    fn name(&self) -> &'static str {
        "targeted_dice_ce"
    }

    fn value(&self, seen: &Seen<'_>) -> Result<Tensor<1>, PerturbError> {
        let logits = seen.network.forward(seen.volume.clone());
        let wrong = wrong_labels(seen.labels.clone(), self.classes);
        Ok(self.criterion.forward(logits, wrong)?)
    }
}

/// `y'` of `y`: in the band about the border of the labelled region, background takes the largest label in reach and labels
/// become background; inside of the band, a label becomes the next one, the last the first. With a single label there is no next
/// one, and the inside becomes background as well.
///
/// # Shapes
/// `[batch, depth, height, width]`, kept.
fn wrong_labels(labels: Tensor<4, Int>, classes: usize) -> Tensor<4, Int> {
    let [batch, depth, height, width] = labels.dims();
    let label: Tensor<5> = labels.float().reshape([batch, 1, depth, height, width]);
    let inside = label.clone().greater_elem(0.0).float();
    let next = match classes {
        0..=2 => label.zeros_like(),
        _ => {
            let last = label.clone().equal_elem((classes - 1) as f32).float();
            (label.clone() + 1.0) * (1.0 - last.clone()) + last
        }
    };
    let band = contour(inside.clone(), BAND);
    let swapped = dilated(label, BAND) * band.clone() * (1.0 - inside.clone());
    let wrong: Tensor<5> = swapped + next * inside * (1.0 - band);
    wrong.reshape([batch, depth, height, width]).int()
}

#[cfg(test)]
mod tests {
    use burn::tensor::TensorData;
    use voxshield_testkit::device;

    use super::*;

    /// A line through a structure of label 2, 10 voxels long, with background around it.
    #[test]
    fn the_band_is_swapped_and_the_inside_moves_on() {
        let line: Vec<i32> = (0..20)
            .map(|x| if (5..15).contains(&x) { 2 } else { 0 })
            .collect();
        // As wide as the band in the other directions, so that only this axis has a border.
        let labels: Vec<i32> = (0..49).flat_map(|_| line.clone()).collect();
        let labels = Tensor::from_data(TensorData::new(labels, [1, 7, 7, 20]), &device());
        let middle = |classes| -> Vec<i32> {
            let wrong = wrong_labels(labels.clone(), classes);
            let wrong = wrong.slice([0..1, 3..4, 3..4, 0..20]);
            wrong.into_data().iter::<i32>().collect()
        };
        let expected = |inside: i32| -> Vec<i32> {
            (0..20)
                .map(|x| match x {
                    2..=4 | 15..=17 => 2,
                    8..=11 => inside,
                    _ => 0,
                })
                .collect()
        };
        assert_eq!(middle(4), expected(3));
        assert_eq!(middle(3), expected(1));
        let single = labels.clone().clamp(0, 1);
        let wrong = wrong_labels(single, 2).slice([0..1, 3..4, 3..4, 0..20]);
        let wrong: Vec<i32> = wrong.into_data().iter::<i32>().collect();
        let expected: Vec<i32> = expected(0).iter().map(|v| v / 2).collect();
        assert_eq!(wrong, expected);
        let empty = wrong_labels(labels.zeros_like(), 3);
        assert!(empty.into_data().iter::<i32>().all(|v| v == 0));
    }
}
