use super::draw::Intensities;
use crate::sampling::{Border, Interpolation, filter, gaussian, ratio, resample};

impl Intensities {
    /// Changes one channel `[depth, height, width]` whose z-score of 0 is `centre` and whose deviation is `deviation`.
    pub(super) fn apply(&self, values: &mut [f32], shape: [usize; 3], centre: f32, deviation: f32) {
        if let Some(noise) = &self.noise {
            let terms = values.iter_mut().zip(&noise.values);
            terms.for_each(|(v, noise)| *v += deviation * noise);
        }
        if let Some(sigma) = self.blur {
            (0..3).for_each(|axis| blur(values, shape, axis, sigma));
        }
        if let Some(factor) = self.brightness {
            let terms = values.iter_mut();
            terms.for_each(|v| *v = (*v - centre) * factor + centre);
        }
        if let Some(factor) = self.contrast {
            let (mean, (lo, hi)) = (mean(values), extent(values));
            values
                .iter_mut()
                .for_each(|v| *v = ((*v - mean) * factor + mean).clamp(lo, hi));
        }
        if let Some(factor) = self.low_resolution {
            let low = shape.map(|n| ((n as f32 * factor).round() as usize).max(1));
            let (down, up) = (ratio(shape, low), ratio(low, shape));
            let small = resample(values, shape, low, down, Interpolation::Nearest);
            values.copy_from_slice(&resample(&small, low, shape, up, Interpolation::Linear));
        }
        if let Some(exponent) = self.inverted_gamma {
            gamma(values, exponent, true);
        }
        if let Some(exponent) = self.gamma {
            gamma(values, exponent, false);
        }
    }
}

/// `x^gamma` on the range of the values, or on their negatives; mean and deviation stay.
fn gamma(values: &mut [f32], gamma: f32, inverted: bool) {
    let sign = if inverted { -1.0 } else { 1.0 };
    let before = (mean(values), deviation(values));
    values.iter_mut().for_each(|v| *v *= sign);
    let (lo, hi) = extent(values);
    let range = (hi - lo).max(1e-7);
    for v in values.iter_mut() {
        *v = sign * (((*v - lo) / range).max(0.0).powf(gamma) * range + lo);
    }
    let after = (mean(values), deviation(values));
    let scale = before.1 / after.1.max(1e-8);
    values
        .iter_mut()
        .for_each(|v| *v = (*v - after.0) * scale + before.0);
}

fn mean(values: &[f32]) -> f32 {
    (values.iter().map(|&v| f64::from(v)).sum::<f64>() / values.len().max(1) as f64) as f32
}

fn deviation(values: &[f32]) -> f32 {
    let centre = f64::from(mean(values));
    let squares: f64 = values
        .iter()
        .map(|&v| (f64::from(v) - centre).powi(2))
        .sum();
    (squares / values.len().max(1) as f64).sqrt() as f32
}

fn extent(values: &[f32]) -> (f32, f32) {
    values
        .iter()
        .fold((f32::INFINITY, f32::NEG_INFINITY), |(lo, hi), &v| {
            (lo.min(v), hi.max(v))
        })
}

/// Filters with a Gaussian cut at three sigma, the border's value outside.
fn blur(values: &mut [f32], shape: [usize; 3], axis: usize, sigma: f32) {
    let kernel = gaussian(sigma, (3.0 * sigma).ceil() as usize);
    filter(values, shape, axis, &kernel, Border::Replicate);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gamma_keeps_mean_and_deviation_and_bends_the_other_way_when_inverted() {
        let original: Vec<f32> = (0..100).map(|i| (i as f32 * 0.37).sin()).collect();
        let skew = |values: &[f32]| {
            let (m, sd) = (mean(values), deviation(values));
            values.iter().map(|v| ((v - m) / sd).powi(3)).sum::<f32>() / values.len() as f32
        };
        let mut skews = Vec::new();
        for inverted in [false, true] {
            let mut values = original.clone();
            gamma(&mut values, 1.5, inverted);
            assert!((mean(&values) - mean(&original)).abs() < 1e-5);
            assert!((deviation(&values) - deviation(&original)).abs() < 1e-5);
            skews.push(skew(&values) - skew(&original));
        }
        assert!(skews[0] > 0.1 && skews[1] < -0.1, "{skews:?}");
    }

    #[test]
    fn blur_keeps_a_constant_and_lowers_contrast() {
        let shape = [6, 7, 8];
        let mut image: Vec<f32> = (0..336).map(|i| (i as f32 * 0.7).sin()).collect();
        let mut flat = vec![0.5; image.len()];
        blur(&mut flat, shape, 1, 1.0);
        assert!(flat.iter().all(|v| (v - 0.5).abs() < 1e-6));
        let before = extent(&image).1;
        blur(&mut image, shape, 2, 1.0);
        assert!(extent(&image).1 < before);
    }
}
