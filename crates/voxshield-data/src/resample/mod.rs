//! Another grid for images and labels: what `scipy.ndimage.zoom` does, so that a victim's preprocessing can be repeated.
//!
//! Protection itself never resamples; see ARCHITECTURE.md.

mod axis;
mod linear;
mod spline;

use ndarray::{Array3, Array4, ArrayView3, ArrayView4, Axis};

use crate::error::DataError;
pub use linear::resample_linear;

use axis::{AxisMap, nearest};

/// The most voxels of a channel that a grid may have: 2048 x 1024 x 1024. Resampling takes 16 bytes a voxel.
const MAX_VOXELS: usize = 1 << 31;

/// Where a coordinate may lie behind the last plane.
///
/// The last output sits on the last input, at `(n_out - 1) * (n_in - 1) / (n_out - 1)`. In floating point that product can
/// come out one unit in the last place above `n_in - 1`: from 8 to 26 planes, or from 121 to 160.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Boundary {
    /// It is the last plane.
    #[default]
    Clamp,
    /// It is outside and reads 0, so that the last plane of image and labels is lost. scipy does so (1.17.1 still, with
    /// `mode="constant"`); for comparisons with volumes that were made by it.
    Scipy,
}

/// The size at which voxels come nearest to a spacing: `round(n * from / to)` per axis, halves to even as Python rounds.
///
/// `shape` and both spacings are `[depth, height, width]`; spacings in mm. Resampling keeps the centres of the corner voxels,
/// so the spacing that results is `from * (n - 1) / (n_out - 1)`, not exactly `to`.
///
/// # Errors
/// [`DataError::Resample`] for a spacing that is not positive and finite, and for a size of no voxels or of more than 2^31.
pub fn shape_at_spacing(
    shape: [usize; 3],
    from: [f64; 3],
    to: [f64; 3],
) -> Result<[usize; 3], DataError> {
    for (what, spacing) in [("the spacing", from), ("the new spacing", to)] {
        if !spacing.iter().all(|mm| *mm > 0.0 && mm.is_finite()) {
            return Err(DataError::Resample {
                what,
                expected: "three positive numbers in mm".into(),
                found: format!("{spacing:?}"),
            });
        }
    }
    let mut result = shape;
    for (axis, size) in result.iter_mut().enumerate() {
        // A cast saturates; the check below refuses what does not fit.
        *size = (*size as f64 * (from[axis] / to[axis])).round_ties_even() as usize;
    }
    check_shape("the new shape", result)?;
    Ok(result)
}

/// An image on another grid of the same extent, by cubic B-splines.
///
/// Formula: per axis, output `o` reads the interpolating cubic spline (mirrored at the centres of the first and last voxel) at
/// `o * (n_in - 1) / (n_out - 1)`; a size of 1 reads plane 0. Channels do not mix. Computed in `f64` in three separable passes.
/// Splines overshoot at edges: values leave the range of the input, so clamp where a range is promised.
///
/// `image` is `[channel, depth, height, width]`, the result has `shape` `[depth, height, width]` and the same channels. Memory:
/// the result, and 16 bytes for every voxel of one channel of the larger grid.
///
/// Source: Unser, "Splines: a perfect fit for signal and image processing", 1999; equal to
/// `scipy.ndimage.zoom(order=3)` of a float32 array.
///
/// # Errors
/// [`DataError::Resample`] for a grid without voxels or with more than 2^31 a channel, and for a voxel that is not finite: it
/// would spread over the volume.
pub fn resample_image(
    image: ArrayView4<'_, f32>,
    shape: [usize; 3],
    boundary: Boundary,
) -> Result<Array4<f32>, DataError> {
    let (channels, depth, height, width) = image.dim();
    let from = [depth, height, width];
    check_shape("the image's shape", from)?;
    check_shape("the new shape", shape)?;
    if let Some((index, value)) = image.indexed_iter().find(|(_, v)| !v.is_finite()) {
        return Err(DataError::Resample {
            what: "the image",
            expected: "finite voxels only".into(),
            found: format!("{value} at {index:?} (channel, depth, height, width)"),
        });
    }
    let mut axes: Vec<usize> = (0..3).filter(|&axis| from[axis] != shape[axis]).collect();
    // Axes that shrink come first, so that no array between is larger than both ends.
    axes.sort_by_key(|&axis| shape[axis] > from[axis]);
    let maps: Vec<(Axis, AxisMap)> = axes
        .into_iter()
        .map(|axis| {
            let map = AxisMap::new(from[axis], shape[axis], boundary);
            (Axis(axis), map)
        })
        .collect();
    let [depth, height, width] = shape;
    let mut result = Array4::zeros((channels, depth, height, width));
    for (channel, mut out) in image.outer_iter().zip(result.outer_iter_mut()) {
        let mut values = channel.mapv(f64::from);
        for (axis, map) in &maps {
            values = map.apply(&values, *axis);
        }
        out.zip_mut_with(&values, |out, &value| *out = value as f32);
    }
    Ok(result)
}

/// Labels on another grid of the same extent: each output takes the label nearest to the coordinate of [`resample_image`], the
/// higher index at halves. Equal to `scipy.ndimage.zoom(order=0)`.
///
/// `labels` are `[depth, height, width]`, the result has `shape`.
///
/// # Errors
/// [`DataError::Resample`] for a grid without voxels or with more than 2^31.
pub fn resample_labels(
    labels: ArrayView3<'_, u16>,
    shape: [usize; 3],
    boundary: Boundary,
) -> Result<Array3<u16>, DataError> {
    let from: [usize; 3] = labels.dim().into();
    check_shape("the labels' shape", from)?;
    check_shape("the new shape", shape)?;
    let [z, x, y] = [0, 1, 2].map(|axis| nearest(from[axis], shape[axis], boundary));
    Ok(Array3::from_shape_fn(shape, |(d, h, w)| {
        match (z[d], x[h], y[w]) {
            (Some(d), Some(h), Some(w)) => labels[[d, h, w]],
            _ => 0,
        }
    }))
}

fn check_shape(what: &'static str, shape: [usize; 3]) -> Result<(), DataError> {
    let voxels = shape
        .iter()
        .try_fold(1usize, |voxels, &size| voxels.checked_mul(size));
    match voxels {
        Some(1..=MAX_VOXELS) => Ok(()),
        _ => Err(DataError::Resample {
            what,
            expected: format!("1 to {MAX_VOXELS} voxels in [depth, height, width]"),
            found: format!("{shape:?}"),
        }),
    }
}
