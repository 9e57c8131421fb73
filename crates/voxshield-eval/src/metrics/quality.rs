use super::same_length;
use crate::EvalError;

/// Peak signal-to-noise ratio in dB for intensities in 0..1, `-10 log10(mean (a - b)^2)`.
///
/// Identical arrays give infinity. The reference bounds the mean square from below by 1e-8, which is
/// `psnr(..)?.min(80.0)`; here that would hide how small a change is.
///
/// # Errors
/// [`EvalError::Length`] if the arrays differ in length or are empty.
pub fn psnr(a: &[f32], b: &[f32]) -> Result<f64, EvalError> {
    same_length("second array", a.len().max(1), b.len())?;
    let sum: f64 = a
        .iter()
        .zip(b)
        .map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2))
        .sum();
    Ok(-10.0 * (sum / a.len() as f64).log10())
}
