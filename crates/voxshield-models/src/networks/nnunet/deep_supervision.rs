//! What the lower resolutions add to nnU-Net's training loss.

use burn::tensor::{Device, Int, Tensor};

/// The weights of the heads, the highest resolution first and without the lowest, which has no part
/// in the loss: 1, 1/2, 1/4, .. divided by their sum. A single head has weight 1.
pub(super) fn head_weights(heads: usize) -> Vec<f64> {
    let used = heads.saturating_sub(1).max(1);
    let weights = std::iter::successors(Some(1.0), |weight| Some(weight / 2.0)).take(used);
    let sum: f64 = weights.clone().sum();
    weights.map(|weight| weight / sum).collect()
}

/// Labels `[batch, depth, height, width]` at the lower resolution `[depth, height, width]`: voxel `i`
/// of `m` along an axis of `n` takes the label at `floor((i + 1/2) n / m)`.
pub(super) fn shrink_labels(labels: Tensor<4, Int>, sizes: [usize; 3]) -> Tensor<4, Int> {
    let device = labels.device();
    let mut labels = labels;
    for (axis, &to) in sizes.iter().enumerate() {
        let from = labels.dims()[axis + 1];
        if from != to {
            labels = labels.select(axis + 1, nearest(from, to, &device));
        }
    }
    labels
}

fn nearest(from: usize, to: usize, device: &Device) -> Tensor<1, Int> {
    let index = |i: usize| ((2 * i + 1) * from / (2 * to)) as i64;
    let indices: Vec<i64> = (0..to).map(index).collect();
    Tensor::from_data(indices.as_slice(), device)
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::TensorData;
    use voxshield_testkit::device;

    #[test]
    fn weights_halve_and_the_lowest_head_has_none() {
        assert_eq!(head_weights(1), [1.0]);
        assert_eq!(head_weights(2), [1.0]);
        assert_eq!(head_weights(3), [2.0 / 3.0, 1.0 / 3.0]);
        let five = [8.0 / 15.0, 4.0 / 15.0, 2.0 / 15.0, 1.0 / 15.0];
        assert_eq!(head_weights(5), five);
    }

    /// `torch.nn.functional.interpolate(mode="nearest-exact")`, 12 to 3, 6 to 3 and 5 to 5.
    #[test]
    fn labels_are_those_of_nearest_exact() {
        let shape = [1, 12, 6, 5];
        let values: Vec<i64> = (0..360).collect();
        let labels = Tensor::from_data(TensorData::new(values, shape), &device());
        let shrunk = shrink_labels(labels, [3, 3, 5]);
        assert_eq!(shrunk.dims(), [1, 3, 3, 5]);
        let found = shrunk.into_data().convert::<i64>();
        let voxel = |z: i64, x: i64, y: i64| z * 30 + x * 5 + y;
        let mut expected = Vec::new();
        for z in [2, 6, 10] {
            for x in [1, 3, 5] {
                expected.extend((0..5).map(|y| voxel(z, x, y)));
            }
        }
        assert_eq!(found.try_to_vec::<i64>().expect("integers"), expected);
    }
}
