use burn::tensor::{Int, Tensor, kind::Basic};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::morphology::shifted;

/// Voxels that a view is moved by at most; half of that is what 2D methods crop their pictures by.
const LARGEST_SHIFT: i64 = 4;

/// A random view of a patch: mirrored along each axis with probability 1/2, and moved by up to 4 voxels, an eighth of the axis
/// at most, with zeros coming in. Image and labels move alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct View {
    /// Along `[depth, height, width]`.
    mirrored: [bool; 3],
    shift: [i64; 3],
}

impl View {
    pub(super) fn draw(shape: [usize; 3], rng: &mut ChaCha8Rng) -> Self {
        let mut axis = |length: usize| {
            let most = LARGEST_SHIFT.min(length as i64 / 8);
            (rng.random(), rng.random_range(-most..=most))
        };
        let [z, y, x] = shape.map(&mut axis);
        Self {
            mirrored: [z.0, y.0, x.0],
            shift: [z.1, y.1, x.1],
        }
    }

    pub(super) fn volume(self, volume: Tensor<5>) -> Tensor<5> {
        self.apply(volume)
    }

    pub(super) fn labels(self, labels: Tensor<4, Int>) -> Tensor<4, Int> {
        self.apply(labels)
    }

    /// The last three axes are `[depth, height, width]`.
    fn apply<const D: usize, K: Basic>(self, tensor: Tensor<D, K>) -> Tensor<D, K> {
        let mut tensor = tensor;
        for axis in 0..3 {
            let dim = D - 3 + axis;
            if self.mirrored[axis] {
                tensor = tensor.flip([dim]);
            }
            tensor = shifted(tensor, dim, self.shift[axis]);
        }
        tensor
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use voxshield_testkit::device;

    use super::*;

    #[test]
    fn image_and_labels_move_alike_and_zeros_come_in() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let [d, h, w] = [8, 16, 40];
        let labels = Tensor::<1, Int>::arange(1..(d * h * w) as i64 + 1, &device());
        let labels = labels.reshape([1, d, h, w]);
        let (mut moved, mut mirrored) = (0, [0; 3]);
        for _ in 0..40 {
            let view = View::draw([d, h, w], &mut rng);
            let volume = view.volume(labels.clone().float().reshape([1, 1, d, h, w]));
            let seen = view.labels(labels.clone());
            assert_eq!(seen.dims(), [1, d, h, w]);
            let same = seen.clone().float().reshape([1, 1, d, h, w]);
            same.into_data().assert_eq(&volume.into_data(), true);
            let values: Vec<i32> = seen.into_data().iter::<i32>().collect();
            let kept: usize = [d, h, w]
                .iter()
                .zip(view.shift)
                .map(|(n, s)| n - s.unsigned_abs() as usize)
                .product();
            let found = values.iter().filter(|&&v| v > 0).count();
            assert_eq!(found, kept);
            assert!(view.shift[0].abs() <= 1 && view.shift[2].abs() <= LARGEST_SHIFT);
            moved += usize::from(view.shift != [0; 3]);
            for (sum, one) in mirrored.iter_mut().zip(view.mirrored) {
                *sum += usize::from(one);
            }
        }
        assert!(moved > 20 && mirrored.iter().all(|n| (8..32).contains(n)));
    }
}
