use realfft::RealFftPlanner;

use super::volumes;
use crate::{EvalError, sampling::lines};

/// Frequencies of the common scale: 0 to 0.5 cycles per voxel in 32 steps.
const BINS: usize = 33;

/// Mean power along z over volumes of any depth: `|DFT_z(x)|^2 / depth` of each line, gathered at the
/// nearest of 33 frequencies from 0 to 0.5 cycles per voxel.
#[derive(Debug, Clone, Default)]
pub struct ZSpectrum {
    /// (sum, count) of each frequency.
    bins: Vec<(f64, usize)>,
}

impl ZSpectrum {
    /// Adds a volume `[channel, depth, height, width]`; `shape` is `[depth, height, width]`.
    ///
    /// # Errors
    /// [`EvalError::Empty`] if an axis has no voxel, [`EvalError::Length`] if the array is not a whole
    /// number of volumes.
    pub fn add(&mut self, image: &[f32], shape: [usize; 3]) -> Result<(), EvalError> {
        let voxels = volumes("image", image.len(), shape)?;
        self.bins.resize(BINS, (0.0, 0));
        let depth = shape[0];
        let transform = RealFftPlanner::<f64>::new().plan_fft_forward(depth);
        let mut line = transform.make_input_vec();
        let mut spectrum = transform.make_output_vec();
        for channel in image.chunks_exact(voxels) {
            for (first, stride, _) in lines(shape, 0) {
                for (z, value) in line.iter_mut().enumerate() {
                    *value = f64::from(channel[first + z * stride]);
                }
                // The buffers come from the transform, so their lengths fit.
                let done = transform.process(&mut line, &mut spectrum);
                debug_assert!(done.is_ok());
                for (k, value) in spectrum.iter().enumerate() {
                    let bin = (2 * (BINS - 1) * k + depth / 2) / depth;
                    let (sum, count) = &mut self.bins[bin.min(BINS - 1)];
                    *sum += value.norm_sqr() / depth as f64;
                    *count += 1;
                }
            }
        }
        Ok(())
    }

    /// The frequencies that occur, in cycles per voxel.
    pub fn frequencies(&self) -> Vec<f64> {
        let all = self
            .bins
            .iter()
            .enumerate()
            .filter(|(_, (_, count))| *count > 0);
        all.map(|(bin, _)| 0.5 * bin as f64 / (BINS - 1) as f64)
            .collect()
    }

    /// Mean power at each of [`ZSpectrum::frequencies`].
    pub fn power(&self) -> Vec<f64> {
        let all = self.bins.iter().filter(|(_, count)| *count > 0);
        all.map(|&(sum, count)| sum / count as f64).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `a + b (-1)^z + c cos(2 pi z / 4)` has its power at 0, 1/2 and 1/4: depth times a^2, b^2, c^2 / 4.
    #[test]
    fn power_lies_where_the_waves_are() {
        let shape = [8, 3, 2];
        let wave = |z: usize| 2.0 + 3.0 * [1.0, -1.0][z % 2] + 4.0 * [1.0, 0.0, -1.0, 0.0][z % 4];
        let image: Vec<f32> = (0..48).map(|i| wave(i / 6)).collect();
        let mut spectrum = ZSpectrum::default();
        spectrum.add(&image, shape).unwrap();
        assert_eq!(spectrum.frequencies(), [0.0, 0.125, 0.25, 0.375, 0.5]);
        for (found, expected) in spectrum.power().iter().zip([32.0, 0.0, 32.0, 0.0, 72.0]) {
            assert!((found - expected).abs() < 1e-9, "{found} {expected}");
        }
        // An odd depth lands on the same scale.
        spectrum.add(&[0.0; 7], [7, 1, 1]).unwrap();
        assert!(spectrum.frequencies().windows(2).all(|f| f[0] < f[1]));
        assert!(spectrum.add(&[0.0; 7], [2, 1, 1]).is_err());
    }
}
