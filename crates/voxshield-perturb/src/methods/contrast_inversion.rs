use std::ops::Range;

use super::{
    CaseCode, Make, Needs, PerturbationMethod, Strength,
    distance::{NONE, Spread, spread},
};
use crate::Support;
use crate::slices::{CaseSlices, parts, slices_at_once, widened};

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
    strength: Some(Strength::measured(
        Support::Full,
        [0.387, 0.093],
        [0.712, 0.431],
    )),
    make: Make::CaseCode(|case, epsilon| Box::new(Inversions::of(case, epsilon))),
};

/// How far the surroundings of a label go, in steps between face neighbours.
const REACH: usize = 8;

/// What happens to the voxels of one label and to those about it, in one channel.
struct Inversion {
    /// Which way the label's voxels move: 1, -1, or 0 if there is no contrast.
    direction: f32,
    /// Where they move to, and where the unlabelled voxels move to.
    targets: [f32; 2],
}

impl Inversion {
    fn of(surroundings: &Surroundings, epsilon: f32) -> Self {
        let (own, other) = match (surroundings.own.mean(), surroundings.other.mean()) {
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

/// The brightness of a label and of what is about it.
#[derive(Clone, Default)]
struct Surroundings {
    own: Mean,
    other: Mean,
}

#[derive(Clone, Default)]
struct Mean {
    sum: f64,
    count: u64,
}

impl Mean {
    fn add(&mut self, x: f32) {
        self.sum += f64::from(x);
        self.count += 1;
    }

    fn mean(&self) -> Option<f32> {
        (self.count > 0).then(|| (self.sum / self.count as f64) as f32)
    }
}

/// The inversions of a case, and which of them is whose.
struct Inversions {
    /// By channel, then by label.
    channels: Vec<Vec<Inversion>>,
    /// Keys: steps times the number of labels, plus the place of the nearest label, the first of those that are as near.
    nearest: Spread<Box<dyn Fn(u16) -> u32 + Send>>,
    epsilon: f32,
}

impl Inversions {
    fn of(case: &dyn CaseSlices, epsilon: f32) -> Self {
        let shape = case.shape();
        let at_once = slices_at_once(shape, REACH);
        let values = labels_of(case, at_once);
        let surroundings = surroundings(case, &values, at_once);
        let count = values.len().max(1) as u32;
        let place = move |label| match (label, values.binary_search(&label)) {
            (0, _) | (_, Err(_)) => NONE,
            (_, Ok(place)) => place as u32,
        };
        Self {
            channels: (surroundings.iter())
                .map(|labels| labels.iter().map(|s| Inversion::of(s, epsilon)).collect())
                .collect(),
            nearest: Spread::new(case, count, Box::new(place)),
            epsilon,
        }
    }
}

impl CaseCode for Inversions {
    fn code(&mut self, case: &dyn CaseSlices, slices: Range<usize>) -> Vec<f32> {
        let mut code = case.image(slices.clone());
        let count = self.channels.first().map_or(0, Vec::len).max(1) as u32;
        let area = case.shape()[1] * case.shape()[2];
        for (at, slice) in slices.clone().enumerate() {
            let keys = self.nearest.slice(case, slice);
            for (channel, inversions) in self.channels.iter().enumerate() {
                let first = (channel * slices.len() + at) * area;
                for (x, &key) in code[first..first + area].iter_mut().zip(keys) {
                    let inversion = match key {
                        NONE => None,
                        key => inversions.get((key % count) as usize),
                    };
                    *x = inversion.map_or(0.0, |i| i.code(*x, key < count, self.epsilon));
                }
            }
        }
        code
    }
}

/// The labels that occur, in order.
fn labels_of(case: &dyn CaseSlices, at_once: usize) -> Vec<u16> {
    let mut known = vec![false; usize::from(u16::MAX) + 1];
    for slices in parts(case.shape()[0], at_once) {
        for label in case.labels(slices) {
            known[usize::from(label)] = true;
        }
    }
    (1..=u16::MAX)
        .filter(|&label| known[usize::from(label)])
        .collect()
}

/// What is about each of these labels, by channel.
fn surroundings(case: &dyn CaseSlices, values: &[u16], at_once: usize) -> Vec<Vec<Surroundings>> {
    let [depth, height, width] = case.shape();
    let mut found = vec![vec![Surroundings::default(); values.len()]; case.channels()];
    for slices in parts(depth, at_once) {
        let read = widened(&slices, REACH, depth);
        let labels = case.labels(read.clone());
        let image = case.image(slices.clone());
        let first = (slices.start - read.start) * height * width;
        let voxels = slices.len() * height * width;
        for (at, &value) in values.iter().enumerate() {
            if !labels.contains(&value) {
                continue;
            }
            let inside = |&label: &u16| if label == value { 0 } else { NONE };
            let mut steps: Vec<u32> = labels.iter().map(inside).collect();
            spread(&mut steps, [read.len(), height, width], 1);
            let steps = &steps[first..first + voxels];
            for (channel, found) in image.chunks(voxels.max(1)).zip(&mut found) {
                let Surroundings { own, other } = &mut found[at];
                for (&x, &steps) in channel.iter().zip(steps) {
                    match steps as usize {
                        0 => own.add(x),
                        1..=REACH => other.add(x),
                        _ => {}
                    }
                }
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ArraySlices;

    fn row(labels: &[u16], image: &[f32], epsilon: f32) -> Vec<f32> {
        let case = ArraySlices::new(image, labels, [1, 1, labels.len()]).unwrap();
        Inversions::of(&case, epsilon).code(&case, 0..1)
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

    /// By the definition, on the whole volume at once; and parts of it are read.
    #[test]
    fn it_is_what_the_definition_says_whatever_is_read_at_a_time() {
        for (index, shape) in [[1, 9, 8], [40, 3, 4], [21, 4, 5]].into_iter().enumerate() {
            let voxels: usize = shape.iter().product();
            let image: Vec<f32> = (0..2 * voxels)
                .map(|i| (i * (11 + index) % 23) as f32 / 22.0)
                .collect();
            let labels: Vec<u16> = (0..voxels)
                .map(|i| match i * 5 / voxels {
                    1 if i % 3 > 0 => 4,
                    3 if i % 5 > 1 => 900,
                    4 if i + 1 == voxels => 7,
                    _ => 0,
                })
                .collect();
            let case = ArraySlices::new(&image, &labels, shape).unwrap();
            let values = labels_of(&case, 3);
            let known: std::collections::BTreeSet<u16> = labels.iter().copied().collect();
            assert!(values.iter().eq(known.iter().filter(|&&label| label > 0)));
            let steps: Vec<Vec<u32>> = (values.iter())
                .map(|value| {
                    let inside = |l: &u16| if l == value { 0 } else { NONE };
                    let mut steps: Vec<u32> = labels.iter().map(inside).collect();
                    spread(&mut steps, shape, 1);
                    steps
                })
                .collect();
            for at_once in [1, 4, 16, 64] {
                let found = surroundings(&case, &values, at_once);
                for (channel, found) in found.iter().enumerate() {
                    for (found, steps) in found.iter().zip(&steps) {
                        let mean = |within: std::ops::RangeInclusive<u32>| {
                            let mut mean = Mean::default();
                            let values = &image[channel * voxels..];
                            let pairs = values.iter().zip(steps);
                            pairs
                                .filter(|(_, s)| within.contains(s))
                                .for_each(|(&x, _)| mean.add(x));
                            (mean.sum.to_bits(), mean.count)
                        };
                        let bits = |mean: &Mean| (mean.sum.to_bits(), mean.count);
                        assert_eq!(bits(&found.own), mean(0..=0));
                        assert_eq!(bits(&found.other), mean(1..=REACH as u32));
                    }
                }
            }
            let epsilon = 0.1;
            let mut inversions = Inversions::of(&case, epsilon);
            let whole = inversions.code(&case, 0..shape[0]);
            for (at, &found) in whole.iter().enumerate() {
                let (channel, voxel) = (at / voxels, at % voxels);
                let labelled = labels[voxel] > 0;
                let own = values
                    .binary_search(&labels[voxel])
                    .ok()
                    .filter(|_| labelled);
                let nearest = (0..values.len()).min_by_key(|&label| steps[label][voxel]);
                let inversion = own
                    .or(nearest)
                    .map(|label| &inversions.channels[channel][label]);
                let expected = inversion.map_or(0.0, |i| i.code(image[at], labelled, epsilon));
                assert_eq!(found, expected);
            }
        }
    }
}
