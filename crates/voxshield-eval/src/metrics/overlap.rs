use super::same_length;
use crate::EvalError;

/// Voxel counts of a predicted and a true mask, from which the overlap scores follow.
///
/// For an empty true mask Dice and IoU say nothing about the prediction, and MONAI's metrics leave
/// such a sample out (`ignore_empty=True`); [`dice`](Self::dice) and [`iou`](Self::iou) do the same
/// and give `None` where MONAI gives NaN. [`dice_of_all`](Self::dice_of_all) and
/// [`iou_of_all`](Self::iou_of_all) count it (`ignore_empty=False`), so that false positives in a
/// case without the structure cost something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Overlap {
    /// Voxels in both masks.
    pub both: u64,
    /// Voxels in the prediction.
    pub predicted: u64,
    /// Voxels in the truth.
    pub real: u64,
}

impl Overlap {
    /// Counts the voxels whose label value is in `region`.
    ///
    /// `prediction` and `truth` are label maps of one shape.
    ///
    /// # Errors
    /// [`EvalError::Length`] if the arrays differ in length.
    pub fn count(
        prediction: &[u16],
        truth: &[u16],
        region: impl Fn(u16) -> bool,
    ) -> Result<Self, EvalError> {
        same_length("prediction", truth.len(), prediction.len())?;
        let mut counts = Self::default();
        for (&p, &t) in prediction.iter().zip(truth) {
            let (p, t) = (region(p), region(t));
            counts.predicted += u64::from(p);
            counts.real += u64::from(t);
            counts.both += u64::from(p && t);
        }
        Ok(counts)
    }

    /// Dice coefficient `2 |P and T| / (|P| + |T|)`; `None` if the truth is empty, 0 if only the
    /// prediction is.
    pub fn dice(&self) -> Option<f64> {
        (self.real > 0).then(|| self.dice_of_all())
    }

    /// Intersection over union `|P and T| / |P or T|`; `None` if the truth is empty, 0 if only the
    /// prediction is.
    pub fn iou(&self) -> Option<f64> {
        (self.real > 0).then(|| self.iou_of_all())
    }

    /// Dice with empty truths counted: 1 if both masks are empty, 0 if one is.
    pub fn dice_of_all(&self) -> f64 {
        ratio(2 * self.both, self.predicted + self.real)
    }

    /// IoU with empty truths counted: 1 if both masks are empty, 0 if one is.
    pub fn iou_of_all(&self) -> f64 {
        ratio(self.both, self.predicted + self.real - self.both)
    }
}

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        1.0
    } else {
        part as f64 / whole as f64
    }
}

/// Dice coefficient of one label value, see [`Overlap::dice`].
///
/// # Errors
/// [`EvalError::Length`] if the arrays differ in length.
pub fn dice(prediction: &[u16], truth: &[u16], label: u16) -> Result<Option<f64>, EvalError> {
    Ok(Overlap::count(prediction, truth, |value| value == label)?.dice())
}

/// Intersection over union of one label value, see [`Overlap::iou`].
///
/// # Errors
/// [`EvalError::Length`] if the arrays differ in length.
pub fn iou(prediction: &[u16], truth: &[u16], label: u16) -> Result<Option<f64>, EvalError> {
    Ok(Overlap::count(prediction, truth, |value| value == label)?.iou())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlap_and_empty_masks() {
        let truth = [0, 1, 1, 2, 2, 2];
        let mixed = [0, 1, 2, 2, 2, 0];
        assert_eq!(dice(&mixed, &truth, 1).unwrap(), Some(2.0 / 3.0));
        assert_eq!(dice(&mixed, &truth, 2).unwrap(), Some(4.0 / 6.0));
        assert_eq!(iou(&mixed, &truth, 2).unwrap(), Some(2.0 / 4.0));
        assert_eq!(dice(&[0; 6], &truth, 2).unwrap(), Some(0.0));
        assert_eq!(dice(&[3; 6], &truth, 3).unwrap(), None);
        assert_eq!(iou(&[3; 6], &truth, 3).unwrap(), None);
        assert!(matches!(
            dice(&[0; 5], &truth, 1),
            Err(EvalError::Length {
                expected: 6,
                found: 5,
                ..
            })
        ));
        assert!(iou(&[0; 5], &truth, 1).is_err());
    }
}
