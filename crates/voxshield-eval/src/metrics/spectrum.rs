use realfft::RealFftPlanner;

use super::volumes;
use crate::{EvalError, sampling::lines};

/// Mean power along the depth, `P(k) = mean |X(k)|^2 / depth` over all lines and channels, where
/// `X(k) = sum_z x(z) exp(-2 pi i k z / depth)`.
///
/// Entry `k`, from 0 to `floor(depth / 2)`, belongs to `k / depth` cycles per slice; the entries of
/// negative frequencies equal those of the positive ones and are left out. A pattern of `+-a` in
/// turn has the power `a^2 depth` at the last entry of an even depth. `values` are
/// `[channel, depth, height, width]`, `shape` is `[depth, height, width]`.
///
/// # Errors
/// [`EvalError::Empty`] if an axis has no voxel, [`EvalError::Length`] if `values` is not a whole
/// number of volumes.
pub fn depth_power(values: &[f32], shape: [usize; 3]) -> Result<Vec<f64>, EvalError> {
    let volume = volumes("array", values.len(), shape)?;
    let transform = RealFftPlanner::<f64>::new().plan_fft_forward(shape[0]);
    let (mut line, mut spectrum) = (transform.make_input_vec(), transform.make_output_vec());
    let mut scratch = transform.make_scratch_vec();
    let mut power = vec![0.0; spectrum.len()];
    for channel in values.chunks_exact(volume) {
        for (first, stride, _) in lines(shape, 0) {
            for (z, value) in line.iter_mut().enumerate() {
                *value = f64::from(channel[first + z * stride]);
            }
            // It fails for buffers of other lengths only, and these are its own.
            if transform
                .process_with_scratch(&mut line, &mut spectrum, &mut scratch)
                .is_ok()
            {
                for (power, value) in power.iter_mut().zip(&spectrum) {
                    *power += value.norm_sqr();
                }
            }
        }
    }
    // Lines times depth.
    let norm = values.len() as f64;
    Ok(power.into_iter().map(|sum| sum / norm).collect())
}
