use std::ops::Range;

use super::Each;
use crate::{
    order_statistic,
    slices::{CaseSlices, parts, widened},
};

/// The `ceil(share * voxels)` voxels at which the mean over the channels changes most: the length of its gradient by central
/// differences, one-sided at the border. Of equal voxels those that come first.
pub(super) fn masks(case: &dyn CaseSlices, share: f64, at_once: usize, each: Each<'_>) {
    let shape = case.shape();
    let voxels: usize = shape.iter().product();
    let count = ((share * voxels as f64).ceil() as usize).min(voxels) as u64;
    // The weakest that is taken, and how many as strong as it are.
    let least = voxels as u64 - count;
    let least = order_statistic(least, &mut |see| {
        parts(shape[0], at_once).for_each(|slices| see(&strength(case, slices)));
    });
    let above = least.map_or(0, |least| voxels as u64 - least.below - least.equal);
    let mut equal = count - above;
    for slices in parts(shape[0], at_once) {
        let mask: Vec<f32> = (strength(case, slices.clone()).iter())
            .map(|strength| {
                let order = least.map(|least| strength.total_cmp(&least.value));
                let inside = match order {
                    Some(order) if order.is_eq() && equal > 0 => {
                        equal -= 1;
                        true
                    }
                    Some(order) => order.is_gt(),
                    None => false,
                };
                super::weight(inside)
            })
            .collect();
        each(slices, &mask);
    }
}

/// The squared length of the gradient at the voxels of some slices.
fn strength(case: &dyn CaseSlices, slices: Range<usize>) -> Vec<f32> {
    let [depth, height, width] = case.shape();
    let read = widened(&slices, 1, depth);
    let shape = [read.len(), height, width];
    let voxels: usize = shape.iter().product();
    let mut mean = vec![0f32; voxels];
    for channel in case.image(read.clone()).chunks(voxels.max(1)) {
        for (m, v) in mean.iter_mut().zip(channel) {
            *m += v;
        }
    }
    let strides = [height * width, width, 1];
    let first = (slices.start - read.start) * strides[0];
    (first..first + slices.len() * strides[0])
        .map(|voxel| {
            (0..3)
                .map(|axis| {
                    let (at, stride) = (voxel / strides[axis] % shape[axis], strides[axis]);
                    let below = if at > 0 { voxel - stride } else { voxel };
                    let above = if at + 1 < shape[axis] {
                        voxel + stride
                    } else {
                        voxel
                    };
                    let apart = (above - below) / stride;
                    let slope = (mean[above] - mean[below]) / apart.max(1) as f32;
                    slope * slope
                })
                .sum()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ArraySlices, Support};

    #[test]
    fn the_steepest_voxels_are_taken_and_exactly_so_many() {
        let shape = [3, 4, 20];
        // One edge between columns 9 and 10 of every row.
        let image: Vec<f32> = (0..240)
            .map(|i| if i % 20 < 10 { 0.1 } else { 0.9 })
            .collect();
        let mask = |share| {
            let (case, mut mask) = (
                ArraySlices::new(&image, &[0; 240], shape).unwrap(),
                Vec::new(),
            );
            masks(&case, share, 2, &mut |_, part| mask.extend(part));
            mask
        };
        let expected: Vec<f32> = (0..240)
            .map(|i| f32::from(u8::from(matches!(i % 20, 9 | 10))))
            .collect();
        assert_eq!(mask(0.1), expected);
        let count = |share| mask(share).iter().filter(|&&m: &&f32| m > 0.0).count();
        assert_eq!([count(0.0), count(0.013), count(1.0)], [0, 4, 240]);
    }

    /// By sorting all voxels.
    #[test]
    fn it_is_the_choice_that_sorting_makes() {
        let shape = [7, 5, 6];
        let image: Vec<f32> = (0..2 * 210).map(|i| (i * i % 17) as f32 / 16.0).collect();
        let labels = [0; 210];
        let case = ArraySlices::new(&image, &labels, shape).unwrap();
        let strength = strength(&case, 0..7);
        let mut order: Vec<usize> = (0..210).collect();
        order.sort_by(|&a, &b| strength[b].total_cmp(&strength[a]).then(a.cmp(&b)));
        for share in [0.01, 0.1, 0.5, 0.99] {
            let mut expected = vec![0.0; 210];
            let count = (share * 210.0_f64).ceil() as usize;
            order[..count]
                .iter()
                .for_each(|&voxel| expected[voxel] = 1.0);
            let found = Support::TopK { share }.mask(&image, &labels, shape, 0);
            assert_eq!(found.unwrap(), expected, "{share}");
        }
    }
}
