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

/// [`psnr`] with another data range: in each channel what lies between the 0.5 and 99.5 percentiles of the clean voxels (linear between
/// ranks, as numpy has it), instead of 1; `None` if a channel has no such extent.
///
/// Volumes span a fraction of the 0..1 that a protection normalises to, so that [`psnr`] flatters by that fraction.
/// `clean` and `protected` are `[channel, depth, height, width]`, `shape` is `[depth, height, width]`.
///
/// # Errors
/// [`EvalError::Empty`] if an axis has no voxel, [`EvalError::Length`] if an array is not a whole number of volumes or the two differ.
pub fn psnr_in_percentiles(
    clean: &[f32],
    protected: &[f32],
    shape: [usize; 3],
) -> Result<Option<f64>, EvalError> {
    let volume = volumes("clean array", clean.len(), shape)?;
    same_length("protected array", clean.len(), protected.len())?;
    let mut squares = 0.0;
    for (clean, protected) in clean
        .chunks_exact(volume)
        .zip(protected.chunks_exact(volume))
    {
        let range = extent(clean);
        if range <= 0.0 {
            return Ok(None);
        }
        let pairs = clean.iter().zip(protected);
        squares += pairs
            .map(|(&a, &b)| ((f64::from(a) - f64::from(b)) / range).powi(2))
            .sum::<f64>();
    }
    Ok(Some(-10.0 * (squares / clean.len() as f64).log10()))
}

/// The 99.5 percentile less the 0.5 percentile of values of which there is at least one.
fn extent(values: &[f32]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f32::total_cmp);
    let percentile = |share: f64| {
        let rank = share * (sorted.len() - 1) as f64;
        let [below, above] = [rank.floor(), rank.ceil()].map(|at| f64::from(sorted[at as usize]));
        below + (above - below) * rank.fract()
    };
    percentile(0.995) - percentile(0.005)
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
