use super::{AxialSlice, GreyPicture, largest_label_slice};
use crate::{EvalError, shape::same_length};

/// One channel of a case before and after, on the canonical grid, with normalised intensities.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// `[depth, height, width]`, in 0..1.
    pub clean: &'a [f32],
    /// The same of the protected file.
    pub protected: &'a [f32],
    /// `[depth, height, width]`.
    pub labels: &'a [u16],
    /// `[depth, height, width]`.
    pub shape: [usize; 3],
    /// Voxel size `[depth, height, width]` in mm.
    pub spacing: [f64; 3],
}

/// Three pictures of the slice with the largest label area: clean, protected, and the perturbation
/// around mid-grey, amplified.
#[derive(Debug, Clone, PartialEq)]
pub struct Montage {
    /// The training set's name, for the caption.
    pub training_set: String,
    /// The case, for the caption.
    pub case: String,
    /// Depth of the slice, from 0.
    pub slice: usize,
    /// What the perturbation is multiplied by.
    pub amplification: f64,
    /// Clean, protected, perturbation.
    pub pictures: [GreyPicture; 3],
}

impl Montage {
    /// Draws a case. With `epsilon`, the amplification brings `+-epsilon` to black and white.
    ///
    /// # Errors
    /// [`EvalError::Length`] or [`EvalError::Empty`] if an array does not fit the shape,
    /// [`EvalError::Parameter`] for a spacing or an `epsilon` that is not a positive number.
    pub fn new(
        training_set: impl Into<String>,
        case: impl Into<String>,
        subject: &Subject<'_>,
        epsilon: f64,
    ) -> Result<Self, EvalError> {
        let epsilon = crate::defences::positive("epsilon", epsilon)?;
        let Subject { shape, spacing, .. } = *subject;
        let slice = largest_label_slice(subject.labels, shape)?;
        same_length(
            "protected channel",
            subject.clean.len(),
            subject.protected.len(),
        )?;
        let pairs = subject.protected.iter().zip(subject.clean);
        let delta: Vec<f32> = pairs.map(|(after, before)| after - before).collect();
        let amplification = 0.5 / epsilon;
        let plain = |values: &[f32]| -> Result<GreyPicture, EvalError> {
            Ok(AxialSlice::new(values, shape, spacing, slice)?.picture(|v| v))
        };
        let delta = AxialSlice::new(&delta, shape, spacing, slice)?;
        Ok(Self {
            training_set: training_set.into(),
            case: case.into(),
            slice,
            amplification,
            pictures: [
                plain(subject.clean)?,
                plain(subject.protected)?,
                delta.picture(|d| 0.5 + amplification as f32 * d),
            ],
        })
    }

    /// The three pictures side by side.
    pub fn joined(&self) -> GreyPicture {
        GreyPicture::row(&self.pictures, 8)
    }
}
