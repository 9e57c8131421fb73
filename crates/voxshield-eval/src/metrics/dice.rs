use super::same_length;
use crate::EvalError;

/// Dice coefficient of one label, `2 |P and T| / (|P| + |T|)`.
///
/// The convention for empty masks is MONAI's (`ignore_empty`): no voxel of `label` in `truth`
/// gives `None` whatever the prediction; none in `prediction` alone gives 0.
///
/// # Errors
/// [`EvalError::Length`] if the arrays differ in length.
pub fn dice(prediction: &[u16], truth: &[u16], label: u16) -> Result<Option<f64>, EvalError> {
    same_length("prediction", truth.len(), prediction.len())?;
    let (mut both, mut predicted, mut real) = (0u64, 0u64, 0u64);
    for (&p, &t) in prediction.iter().zip(truth) {
        predicted += u64::from(p == label);
        real += u64::from(t == label);
        both += u64::from(p == label && t == label);
    }
    if real == 0 {
        return Ok(None);
    }
    Ok(Some(2.0 * both as f64 / (predicted + real) as f64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlap_and_empty_masks() {
        let truth = [0, 1, 1, 2, 2, 2];
        assert_eq!(
            dice(&[0, 1, 2, 2, 2, 0], &truth, 1).unwrap(),
            Some(2.0 / 3.0)
        );
        assert_eq!(
            dice(&[0, 1, 2, 2, 2, 0], &truth, 2).unwrap(),
            Some(4.0 / 6.0)
        );
        assert_eq!(dice(&[0; 6], &truth, 2).unwrap(), Some(0.0));
        assert_eq!(dice(&[3; 6], &truth, 3).unwrap(), None);
        assert!(dice(&[0; 5], &truth, 1).is_err());
    }
}
