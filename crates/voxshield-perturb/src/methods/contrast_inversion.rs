use std::ops::RangeInclusive;

use super::{CodeInput, Make, Needs, PerturbationMethod, Strength, distance::steps_to};
use crate::Support;

/// A label and its surroundings exchange their brightness, as far as epsilon goes, so that a network learns the inverse of the
/// contrast that clean images have. No high frequency is involved: what undoes a lattice (a blur, a median, a
/// resampling, a rotation) leaves this as it is.
///
/// For each label `l` of a case, with `m` the mean of its voxels, `o` the mean of the other voxels within [`REACH`] steps of
/// it, and `s = sign(o - m)`:
///
/// - voxels of `l` move towards `o + s epsilon`, in the direction `s` only;
/// - unlabelled voxels whose nearest label is `l` move towards `m - s epsilon`, in the direction `-s` only.
///
/// So air beside dark tissue does not become brighter. A label that is as bright as its surroundings stays as it is.
pub(super) const METHOD: PerturbationMethod = PerturbationMethod {
    name: "contrast-inversion",
    title: "labels and their surroundings exchange their brightness, as far as epsilon goes (support body or full)",
    source: "our own",
    needs: Needs::Labels,
    strength: Some(Strength::measured(Support::Full, 0.387, 0.108)),
    make: Make::ImageCode(code),
};

/// How far the surroundings of a label go, in steps between face neighbours.
const REACH: u32 = 8;

/// What happens to the voxels of one label and to those about it.
struct Inversion {
    label: u16,
    /// To the nearest voxel of the label.
    steps: Vec<u32>,
    /// Which way the label's voxels move: 1, -1, or 0 if there is no contrast.
    direction: f32,
    /// Where they move to, and where the unlabelled voxels move to.
    targets: [f32; 2],
}

impl Inversion {
    fn of(label: u16, input: &CodeInput<'_>, image: &[f32], epsilon: f32) -> Self {
        let inside: Vec<bool> = input.labels.iter().map(|&l| l == label).collect();
        let steps = steps_to(&inside, true, input.shape);
        let mean = |within: RangeInclusive<u32>| {
            let (mut sum, mut count) = (0.0, 0u64);
            for (&x, _) in image.iter().zip(&steps).filter(|(_, s)| within.contains(s)) {
                sum += f64::from(x);
                count += 1;
            }
            (count > 0).then(|| (sum / count as f64) as f32)
        };
        let (own, other) = match (mean(0..=0), mean(1..=REACH)) {
            (Some(own), Some(other)) => (own, other),
            // The label fills the volume: nothing to exchange with.
            _ => (0.0, 0.0),
        };
        let direction = match other - own {
            0.0 => 0.0,
            contrast => contrast.signum(),
        };
        let margin = direction * epsilon;
        Self {
            label,
            steps,
            direction,
            targets: [other + margin, own - margin],
        }
    }

    /// The move of a voxel of brightness `x` in units of epsilon.
    fn code(&self, x: f32, labelled: bool, epsilon: f32) -> f32 {
        let [own, other] = self.targets;
        let (direction, target) = match labelled {
            true => (self.direction, own),
            false => (-self.direction, other),
        };
        direction * (direction * (target - x) / epsilon).clamp(0.0, 1.0)
    }
}

fn code(input: &CodeInput<'_>, image: &[f32], epsilon: f32) -> Vec<f32> {
    let mut values: Vec<u16> = input.labels.iter().copied().filter(|&l| l > 0).collect();
    values.sort_unstable();
    values.dedup();
    let inversions: Vec<Inversion> = values
        .iter()
        .map(|&label| Inversion::of(label, input, image, epsilon))
        .collect();
    let at = |(voxel, (&label, &x)): (usize, (&u16, &f32))| {
        let inversion = match label {
            0 => inversions.iter().min_by_key(|i| i.steps[voxel]),
            _ => inversions.iter().find(|i| i.label == label),
        };
        inversion.map_or(0.0, |i| i.code(x, label > 0, epsilon))
    };
    input.labels.iter().zip(image).enumerate().map(at).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(labels: &[u16], image: &[f32], epsilon: f32) -> Vec<f32> {
        let input = CodeInput {
            labels,
            first: 0,
            shape: [1, 1, labels.len()],
            seed: 0,
        };
        code(&input, image, epsilon)
    }

    #[test]
    fn a_dark_label_becomes_bright_and_what_is_beside_it_dark() {
        let image = [0.5, 0.5, 0.4, 0.4, 0.5, 0.5];
        assert_eq!(
            row(&[0, 0, 3, 3, 0, 0], &image, 0.1),
            [-1., -1., 1., 1., -1., -1.]
        );
        let bright = image.map(|x| 1.0 - x);
        assert_eq!(
            row(&[0, 0, 3, 3, 0, 0], &bright, 0.1),
            [1., 1., -1., -1., 1., 1.]
        );
    }

    /// Targets are .25 + .25 and .125 - .25 (below 0): a label's voxel at .375 needs half of epsilon; air is where it shall be.
    #[test]
    fn voxels_go_no_further_than_the_target_and_never_away_from_it() {
        let found = row(&[0, 0, 1, 1, 1], &[0.5, 0.0, 0.0, 0.0, 0.375], 0.25);
        assert_eq!(found, [-1., -0.5, 1., 1., 0.5]);
    }

    #[test]
    fn every_label_has_a_direction_of_its_own() {
        let labels = [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2];
        let mut image = [0.5; 20];
        (image[0], image[19]) = (0.25, 0.75);
        let found = row(&labels, &image, 0.125);
        assert_eq!((found[0], found[1]), (1., -1.));
        assert_eq!((found[19], found[18]), (-1., 1.));
    }

    #[test]
    fn without_contrast_or_without_a_label_nothing_moves() {
        for labels in [[0, 0, 0], [7, 7, 7], [0, 1, 0]] {
            assert_eq!(row(&labels, &[0.5; 3], 0.1), [0.0; 3]);
        }
    }
}
