//! The interval that is mapped to 0..1.

use ndarray::{Array, ArrayView, Dimension};
use serde::{Deserialize, Serialize};

use crate::error::DataError;

/// The interval of file units (after slope and intercept) that the normalised range 0..1 stands for:
/// `x = clamp((v - lo) / (hi - lo), 0, 1)`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct IntensityRange {
    /// The value that becomes 0.
    pub lo: f64,
    /// The value that becomes 1.
    pub hi: f64,
}

impl IntensityRange {
    /// A checked range.
    ///
    /// # Errors
    /// [`DataError::InvalidRange`] unless both ends are finite and `hi > lo`.
    pub fn new(lo: f64, hi: f64) -> Result<Self, DataError> {
        let range = Self { lo, hi };
        range.checked_width()?;
        Ok(range)
    }

    /// `hi - lo` in file units.
    #[must_use]
    pub fn width(&self) -> f64 {
        self.hi - self.lo
    }

    /// [`IntensityRange::width`], known to be finite and above 0.
    pub(crate) fn checked_width(&self) -> Result<f64, DataError> {
        let width = self.width();
        if self.lo.is_finite() && self.hi.is_finite() && width > 0.0 && width.is_finite() {
            Ok(width)
        } else {
            Err(DataError::InvalidRange {
                lo: self.lo,
                hi: self.hi,
            })
        }
    }

    /// The normalised value of one voxel, computed in f64.
    #[must_use]
    pub fn normalise_value(&self, value: f32) -> f32 {
        ((f64::from(value) - self.lo) / self.width()).clamp(0.0, 1.0) as f32
    }

    /// Normalised copy of an array in file units; same axes.
    #[must_use]
    pub fn normalise<D: Dimension>(&self, values: ArrayView<'_, f32, D>) -> Array<f32, D> {
        values.map(|&value| self.normalise_value(value))
    }

    /// Normalises `values` into `target`, without allocating; same axes.
    ///
    /// # Errors
    /// [`DataError::Shape`] when the shapes differ.
    pub fn normalise_into<D: Dimension>(
        &self,
        values: ArrayView<'_, f32, D>,
        mut target: ndarray::ArrayViewMut<'_, f32, D>,
    ) -> Result<(), DataError> {
        if values.shape() != target.shape() {
            return Err(DataError::Shape {
                what: "normalisation target",
                expected: values.shape().to_vec(),
                found: target.shape().to_vec(),
            });
        }
        target.zip_mut_with(&values, |target, &value| {
            *target = self.normalise_value(value)
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array1, array};

    use super::*;

    #[test]
    fn maps_ends_middle_and_clamps() {
        let range = IntensityRange::new(-100.0, 300.0).unwrap();
        let values = array![-1000.0, -100.0, 100.0, 300.0, 1e9];
        let expected = array![0.0, 0.0, 0.5, 1.0, 1.0];
        assert_eq!(range.normalise(values.view()), expected);
        let mut target = Array1::zeros(5);
        range
            .normalise_into(values.view(), target.view_mut())
            .unwrap();
        assert_eq!(target, expected);
        let mut short = Array1::zeros(4);
        let error = range.normalise_into(values.view(), short.view_mut());
        assert!(matches!(error, Err(DataError::Shape { .. })));
    }

    #[test]
    fn bad_ranges_are_refused() {
        for (lo, hi) in [
            (1.0, 1.0),
            (2.0, 1.0),
            (f64::NAN, 1.0),
            (0.0, f64::INFINITY),
            (-f64::MAX, f64::MAX),
        ] {
            assert!(matches!(
                IntensityRange::new(lo, hi),
                Err(DataError::InvalidRange { .. })
            ));
        }
    }
}
