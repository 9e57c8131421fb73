use ndarray::{Array3, Array4, ArrayView4, Axis, Zip};

use super::check_shape;
use crate::error::DataError;

/// An image on another grid of the same extent, trilinear: each output reads between the two inputs around the coordinate of
/// [`resample_image`](super::resample_image), `o * (n_in - 1) / (n_out - 1)`. Equal to `scipy.ndimage.zoom(order=1)`.
///
/// For scores of classes, which splines would overshoot. `image` is `[channel, depth, height, width]`, the result has `shape` and
/// the same channels.
///
/// # Errors
/// [`DataError::Resample`] for a grid without voxels or with more than 2^31 a channel.
pub fn resample_linear(
    image: ArrayView4<'_, f32>,
    shape: [usize; 3],
) -> Result<Array4<f32>, DataError> {
    let (channels, depth, height, width) = image.dim();
    check_shape("the image's shape", [depth, height, width])?;
    check_shape("the new shape", shape)?;
    let [d, h, w] = shape;
    let mut result = Array4::zeros((channels, d, h, w));
    for (channel, mut out) in image.outer_iter().zip(result.outer_iter_mut()) {
        let mut values = channel.to_owned();
        for (axis, &size) in shape.iter().enumerate() {
            values = along(&values, Axis(axis), size);
        }
        out.assign(&values);
    }
    Ok(result)
}

fn along(values: &Array3<f32>, axis: Axis, size: usize) -> Array3<f32> {
    let from = values.len_of(axis);
    if from == size {
        return values.clone();
    }
    let taps: Vec<(usize, usize, f64)> = (0..size)
        .map(|o| {
            let last = (from - 1) as f64;
            let at = (o as f64 * last / size.saturating_sub(1).max(1) as f64).min(last);
            let low = at.floor() as usize;
            (low, (low + 1).min(from - 1), at - low as f64)
        })
        .collect();
    let mut shape = values.raw_dim();
    shape[axis.index()] = size;
    let mut result = Array3::zeros(shape);
    Zip::from(result.lanes_mut(axis))
        .and(values.lanes(axis))
        .for_each(|out, line| {
            for (out, &(low, high, share)) in out.into_iter().zip(&taps) {
                let value = f64::from(line[low]) * (1.0 - share) + f64::from(line[high]) * share;
                *out = value as f32;
            }
        });
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_linear_ramp_stays_one_and_ends_keep_their_values() {
        let ramp = Array4::from_shape_fn((2, 4, 5, 3), |(c, z, y, x)| {
            c as f32 + 3.0 * z as f32 - 2.0 * y as f32 + 0.5 * x as f32
        });
        let out = resample_linear(ramp.view(), [7, 3, 8]).unwrap();
        for ((c, z, y, x), value) in out.indexed_iter() {
            let expected = c as f64 + 3.0 * z as f64 * 3.0 / 6.0 - 2.0 * y as f64 * 4.0 / 2.0
                + 0.5 * x as f64 * 2.0 / 7.0;
            assert!((f64::from(*value) - expected).abs() < 1e-5);
        }
        let same = resample_linear(ramp.view(), [4, 5, 3]).unwrap();
        assert_eq!(same, ramp);
        assert!(resample_linear(ramp.view(), [0, 1, 1]).is_err());
        // scipy.ndimage.zoom(order=1) reads the first voxel for a size of 1.
        assert_eq!(
            resample_linear(ramp.view(), [1, 1, 1]).unwrap()[[1, 0, 0, 0]],
            1.0
        );
    }
}
