use super::{same_length, volumes};
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

/// [`psnr`] over the voxels inside a mask; `None` if the mask is empty.
///
/// `a` and `b` are `[channel, depth, height, width]`, `inside` is `[depth, height, width]` and holds
/// for every channel.
///
/// # Errors
/// [`EvalError::Length`] if the arrays differ in length or are not a whole number of masks,
/// [`EvalError::Empty`] for a mask of length 0.
pub fn psnr_inside(a: &[f32], b: &[f32], inside: &[bool]) -> Result<Option<f64>, EvalError> {
    volumes("first array", a.len(), [inside.len(), 1, 1])?;
    same_length("second array", a.len(), b.len())?;
    let pick = |values: &[f32]| -> Vec<f32> {
        let mask = inside.iter().cycle();
        let picked = values.iter().zip(mask).filter(|(_, inside)| **inside);
        picked.map(|(value, _)| *value).collect()
    };
    let (a, b) = (pick(a), pick(b));
    if a.is_empty() {
        return Ok(None);
    }
    psnr(&a, &b).map(Some)
}
