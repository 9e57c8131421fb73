/// The `ceil(share * voxels)` voxels at which the mean over the channels changes most: the length of its gradient by central
/// differences, one-sided at the border. Of equal voxels those that come first.
pub(super) fn mask(image: &[f32], shape: [usize; 3], share: f64) -> Vec<bool> {
    let voxels: usize = shape.iter().product();
    let mut mean = vec![0f32; voxels];
    for channel in image.chunks(voxels.max(1)) {
        for (m, v) in mean.iter_mut().zip(channel) {
            *m += v;
        }
    }
    let strength = gradient(&mean, shape);
    let count = ((share * voxels as f64).ceil() as usize).min(voxels);
    let mut order: Vec<usize> = (0..voxels).collect();
    let mut mask = vec![false; voxels];
    if count > 0 {
        // Strength, then place: an order without ties, so that the choice does not depend on the algorithm.
        order.select_nth_unstable_by(count - 1, |&a, &b| {
            strength[b].total_cmp(&strength[a]).then(a.cmp(&b))
        });
    }
    for &voxel in &order[..count] {
        mask[voxel] = true;
    }
    mask
}

/// The squared length of the gradient at every voxel.
fn gradient(values: &[f32], shape: [usize; 3]) -> Vec<f32> {
    let strides = [shape[1] * shape[2], shape[2], 1];
    (0..values.len())
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
                    let slope = (values[above] - values[below]) / apart.max(1) as f32;
                    slope * slope
                })
                .sum()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_steepest_voxels_are_taken_and_exactly_so_many() {
        let shape = [3, 4, 20];
        // One edge between columns 9 and 10 of every row.
        let image: Vec<f32> = (0..240)
            .map(|i| if i % 20 < 10 { 0.1 } else { 0.9 })
            .collect();
        let found = mask(&image, shape, 0.1);
        let expected: Vec<bool> = (0..240).map(|i| matches!(i % 20, 9 | 10)).collect();
        assert_eq!(found, expected);
        let count = |share| mask(&image, shape, share).iter().filter(|&&m| m).count();
        assert_eq!([count(0.0), count(0.013), count(1.0)], [0, 4, 240]);
    }
}
