use super::GreyPicture;
use crate::{
    EvalError,
    shape::{same_length, voxels},
};

/// How wide or high a slice is shown, about, in pixels.
const SHOWN: f64 = 320.0;

/// The depth of the slice with most labelled voxels, the first of several; the middle one if no voxel has a label.
///
/// `labels` is `[depth, height, width]`.
///
/// # Errors
/// [`EvalError::Empty`] if an axis has no voxel, [`EvalError::Length`] if `labels` does not fit.
pub fn largest_label_slice(labels: &[u16], shape: [usize; 3]) -> Result<usize, EvalError> {
    same_length("labels", voxels(shape)?, labels.len())?;
    let [depth, height, width] = shape;
    let mut best = (depth / 2, 0);
    for (z, slice) in labels.chunks_exact(height * width).enumerate() {
        let area = slice.iter().filter(|label| **label > 0).count();
        if area > best.1 {
            best = (z, area);
        }
    }
    Ok(best.0)
}

/// One slice `[height, width]` of a canonical volume: height runs to the patient's right, width to
/// the front.
#[derive(Debug, Clone, Copy)]
pub struct AxialSlice<'a> {
    values: &'a [f32],
    size: [usize; 2],
    spacing: [f64; 2],
}

impl<'a> AxialSlice<'a> {
    /// Slice `z` of one channel `[depth, height, width]`; `spacing` `[depth, height, width]` in mm.
    ///
    /// # Errors
    /// [`EvalError::Empty`] if an axis has no voxel, [`EvalError::Length`] if the channel does not
    /// fit its shape, [`EvalError::Parameter`] if there is no slice `z` or a spacing is not a
    /// positive number.
    pub fn new(
        channel: &'a [f32],
        shape: [usize; 3],
        spacing: [f64; 3],
        z: usize,
    ) -> Result<Self, EvalError> {
        same_length("channel", voxels(shape)?, channel.len())?;
        let [_, height, width] = shape;
        let refused = |what, expected, found| EvalError::Parameter {
            what,
            expected,
            found,
        };
        if !spacing.iter().all(|s| s.is_finite() && *s > 0.0) {
            let expected = "three positive numbers of mm";
            return Err(refused("voxel spacing", expected, format!("{spacing:?}")));
        }
        let values = channel.chunks_exact(height * width).nth(z);
        let values = values.ok_or_else(|| refused("slice", "one of the volume", z.to_string()))?;
        Ok(Self {
            values,
            size: [height, width],
            spacing: [spacing[1], spacing[2]],
        })
    }

    /// The slice as radiologists look at it, the patient's right on the left and the front on top,
    /// each voxel as a rectangle of its proportions; `grey` maps a value to 0..1.
    ///
    /// The longer side has about 320 pixels, more where voxels are smaller than a pixel.
    pub fn picture(&self, grey: impl Fn(f32) -> f32) -> GreyPicture {
        let [height, width] = self.size;
        let extent = [0, 1].map(|axis| self.size[axis] as f64 * self.spacing[axis]);
        let finest = self.spacing[0].min(self.spacing[1]);
        // Pixels per mm, at least one for the smaller side of a voxel.
        let scale = (SHOWN / extent[0].max(extent[1])).max(1.0 / finest);
        // A whole number of pixels where voxels are square.
        let scale = (scale * finest).floor().max(1.0) / finest;
        let [columns, rows] = extent.map(|mm| ((mm * scale).round() as usize).clamp(1, 4096));
        let mut pixels = Vec::with_capacity(columns * rows);
        for row in 0..rows {
            let y = width - 1 - row * width / rows;
            for column in 0..columns {
                let x = height - 1 - column * height / columns;
                let value = grey(self.values[x * width + y]).clamp(0.0, 1.0);
                pixels.push((value * 255.0).round() as u8);
            }
        }
        GreyPicture {
            width: columns,
            height: rows,
            pixels,
        }
    }
}
