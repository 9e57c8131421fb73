//! Dilation and erosion on a device, with cubes, in voxels.

use burn::tensor::{Tensor, kind::Basic};

/// The tensor moved by `shift` along `dim`; zeros come in.
pub(crate) fn shifted<const D: usize, K: Basic>(
    tensor: Tensor<D, K>,
    dim: usize,
    shift: i64,
) -> Tensor<D, K> {
    let length = tensor.dims()[dim];
    let by = (shift.unsigned_abs() as usize).min(length);
    if by == 0 {
        return tensor;
    }
    let mut edge = tensor.dims();
    edge[dim] = by;
    let edge = Tensor::zeros(edge, (&tensor.device(), tensor.dtype()));
    if by == length {
        return edge;
    }
    let from = if shift > 0 { 0 } else { by };
    let rest = tensor.narrow(dim, from, length - by);
    match shift > 0 {
        true => Tensor::cat(vec![edge, rest], dim),
        false => Tensor::cat(vec![rest, edge], dim),
    }
}

/// The tensor moved by one voxel along `dim`, forwards or backwards; the border is repeated.
pub(crate) fn repeated(tensor: Tensor<5>, dim: usize, forwards: bool) -> Tensor<5> {
    let last = tensor.dims()[dim] - 1;
    let (edge, rest) = match forwards {
        true => (0, 0),
        false => (last, 1),
    };
    let edge = tensor.clone().narrow(dim, edge, 1);
    if last == 0 {
        return edge;
    }
    let rest = tensor.narrow(dim, rest, last);
    match forwards {
        true => Tensor::cat(vec![edge, rest], dim),
        false => Tensor::cat(vec![rest, edge], dim),
    }
}

/// The largest of the values at most `radius` away along each of the last three axes; 0 outside, so that values are 0 or more.
///
/// # Shapes
/// `[batch, channel, depth, height, width]`, kept.
pub(crate) fn dilated(volume: Tensor<5>, radius: usize) -> Tensor<5> {
    (2..5).fold(volume, |volume, dim| {
        (1..=radius as i64).fold(volume.clone(), |largest, by| {
            let ahead = shifted(volume.clone(), dim, by);
            let behind = shifted(volume.clone(), dim, -by);
            largest.max_pair(ahead).max_pair(behind)
        })
    })
}

/// The smallest of the values at most `radius` away; values are in 0..1, 1 outside.
///
/// # Shapes
/// As [`dilated`].
pub(crate) fn eroded(volume: Tensor<5>, radius: usize) -> Tensor<5> {
    1.0 - dilated(1.0 - volume, radius)
}

/// 1 within `radius` voxels of the border of `mask` (0 and 1), on both sides: dilation minus erosion.
///
/// # Shapes
/// As [`dilated`].
pub(crate) fn contour(mask: Tensor<5>, radius: usize) -> Tensor<5> {
    dilated(mask.clone(), radius) - eroded(mask, radius)
}

#[cfg(test)]
mod tests {
    use burn::tensor::TensorData;
    use voxshield_testkit::device;

    use super::*;

    #[test]
    fn a_box_grows_and_shrinks_by_the_radius_and_a_border_is_no_contour() {
        let n = 11usize;
        let boxed = |low: usize, high: usize| -> Vec<f32> {
            (0..n * n * n)
                .map(|i| {
                    let at = [i / (n * n), i / n % n, i % n];
                    f32::from(u8::from(at.iter().all(|c| (low..high).contains(c))))
                })
                .collect()
        };
        let mask =
            |values| Tensor::<5>::from_data(TensorData::new(values, [1, 1, n, n, n]), &device());
        let values = |t: Tensor<5>| t.into_data().iter::<f32>().collect::<Vec<_>>();
        let volume = mask(boxed(3, 8));
        assert_eq!(values(dilated(volume.clone(), 2)), boxed(1, 10));
        assert_eq!(values(eroded(volume.clone(), 2)), boxed(5, 6));
        assert_eq!(values(dilated(volume.clone(), 20)), boxed(0, n));
        let band: Vec<f32> = boxed(2, 9)
            .iter()
            .zip(boxed(4, 7))
            .map(|(a, b)| a - b)
            .collect();
        assert_eq!(values(contour(volume, 1)), band);
        assert_eq!(values(contour(mask(boxed(0, n)), 3)), boxed(0, 0));
    }
}
