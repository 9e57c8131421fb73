use super::{Each, lines::along, soft_roi::dilate, weight};
use crate::slices::{CaseSlices, parts, widened};

/// The voxels within `width` voxels of the boundary between labelled and unlabelled ones, on both sides: labelled voxels dilated, and
/// unlabelled ones dilated, by a cube of `2 width + 1` voxels; both. Outside the volume there is nothing.
pub(super) fn masks(case: &dyn CaseSlices, width: usize, at_once: usize, each: Each<'_>) {
    let [depth, rows, columns] = case.shape();
    for slices in parts(depth, at_once) {
        let read = widened(&slices, width, depth);
        let (labels, shape) = (case.labels(read.clone()), [read.len(), rows, columns]);
        let near = |inside: bool| {
            let mut near: Vec<f32> = labels
                .iter()
                .map(|&label| weight((label > 0) == inside))
                .collect();
            for axis in 0..3 {
                along(&mut near, shape, axis, |line, out| dilate(line, width, out));
            }
            near
        };
        let mut mask = near(true);
        for (mask, background) in mask.iter_mut().zip(near(false)) {
            *mask *= background;
        }
        let first = (slices.start - read.start) * rows * columns;
        let part = first..first + slices.len() * rows * columns;
        each(slices, &mask[part]);
    }
}

#[cfg(test)]
mod tests {
    use crate::Support;

    /// Against the definition: a voxel with both kinds in the cube around it.
    #[test]
    fn both_kinds_are_near() {
        let shape = [6, 7, 8];
        let place = |i: usize| [i / 56, i / 8 % 7, i % 8];
        let voxels = 6 * 7 * 8;
        let labels: Vec<u16> = (0..voxels)
            .map(|i| {
                let [z, y, x] = place(i);
                u16::from(z > 1 && (2..5).contains(&y) && x < 5)
            })
            .collect();
        for width in [1, 2] {
            let support = Support::Contour { width };
            let found = support.mask(&[], &labels, shape, 0).unwrap();
            for (i, &found) in found.iter().enumerate() {
                let near = |wanted: u16| {
                    (0..voxels).any(|j| {
                        let apart = |axis: usize| place(i)[axis].abs_diff(place(j)[axis]) <= width;
                        labels[j] == wanted && (0..3).all(apart)
                    })
                };
                let expected = near(0) && near(1);
                assert_eq!(found > 0.0, expected, "{width} {:?}", place(i));
            }
            assert!(found.contains(&1.0) && found.contains(&0.0));
        }
    }
}
