use super::{same_length, volumes};
use crate::EvalError;

const TAPS: usize = 11;
const SIGMA: f64 = 1.5;
const K1: f64 = 0.01;
const K2: f64 = 0.03;

/// Structural similarity of two volumes with intensities in 0..1, mean over voxels and channels:
/// [`ssim_in_range`] with the range 1.
///
/// # Errors
/// As [`ssim_in_range`].
pub fn ssim(a: &[f32], b: &[f32], shape: [usize; 3]) -> Result<f64, EvalError> {
    ssim_in_range(a, b, shape, 1.0)
}

/// Structural similarity of two volumes, mean over voxels and channels.
///
/// `(2 m_a m_b + C1) (2 c + C2) / ((m_a^2 + m_b^2 + C1) (v_a + v_b + C2))` with the window's means
/// `m`, population variances `v` and covariance `c`, `C1 = (0.01 range)^2`, `C2 = (0.03 range)^2`.
/// The window is a Gaussian of 11 taps per axis with sigma 1.5, without padding (only voxels whose
/// window lies inside count). An axis shorter than the window is not smoothed, as in the reference.
///
/// `range` is the extent of the possible intensities (1 for normalised ones). Arrays are
/// `[channel, depth, height, width]`, `shape` is `[depth, height, width]`.
///
/// # Errors
/// [`EvalError::Length`] if an array is not a whole number of volumes or the two differ,
/// [`EvalError::Empty`] if an axis has no voxel, [`EvalError::Parameter`] if `range` is not a
/// positive number.
pub fn ssim_in_range(
    a: &[f32],
    b: &[f32],
    shape: [usize; 3],
    range: f64,
) -> Result<f64, EvalError> {
    let voxels = volumes("first array", a.len(), shape)?;
    if !(range.is_finite() && range > 0.0) {
        return Err(EvalError::Parameter {
            what: "intensity range",
            expected: "a positive number",
            found: range.to_string(),
        });
    }
    let constants = [K1, K2].map(|k| (k * range).powi(2));
    same_length("second array", a.len(), b.len())?;
    let channels = a.len() / voxels;
    let sum: f64 = a
        .chunks_exact(voxels)
        .zip(b.chunks_exact(voxels))
        .map(|(a, b)| channel(a, b, shape, constants))
        .sum();
    Ok(sum / channels as f64)
}

fn channel(a: &[f32], b: &[f32], shape: [usize; 3], [c1, c2]: [f64; 2]) -> f64 {
    let window = |f: &dyn Fn(f64, f64) -> f64| {
        let product: Vec<f64> = a
            .iter()
            .zip(b)
            .map(|(&a, &b)| f(f64::from(a), f64::from(b)))
            .collect();
        (0..3).fold((product, shape), |(values, shape), axis| {
            smooth(&values, shape, axis)
        })
    };
    let (mean_a, inner) = window(&|a, _| a);
    let (mean_b, _) = window(&|_, b| b);
    let (square_a, _) = window(&|a, _| a * a);
    let (square_b, _) = window(&|_, b| b * b);
    let (product, _) = window(&|a, b| a * b);
    let count = inner.iter().product::<usize>();
    let sum: f64 = (0..count)
        .map(|i| {
            let (ma, mb) = (mean_a[i], mean_b[i]);
            let (va, vb) = (square_a[i] - ma * ma, square_b[i] - mb * mb);
            let covariance = product[i] - ma * mb;
            (2.0 * ma * mb + c1) * (2.0 * covariance + c2)
                / ((ma * ma + mb * mb + c1) * (va + vb + c2))
        })
        .sum();
    sum / count as f64
}

/// Correlation with the Gaussian window along one axis, valid part only.
fn smooth(values: &[f64], shape: [usize; 3], axis: usize) -> (Vec<f64>, [usize; 3]) {
    let n = shape[axis];
    if n < TAPS {
        return (values.to_vec(), shape);
    }
    let kernel: [f64; TAPS] = std::array::from_fn(|i| {
        let x = i as f64 - (TAPS / 2) as f64;
        (-x * x / (2.0 * SIGMA * SIGMA)).exp()
    });
    let norm: f64 = kernel.iter().sum();
    let mut out_shape = shape;
    out_shape[axis] = n - TAPS + 1;
    let inner: usize = shape[axis + 1..].iter().product();
    let outer: usize = shape[..axis].iter().product();
    let mut out = vec![0.0; outer * out_shape[axis] * inner];
    for o in 0..outer {
        for p in 0..out_shape[axis] {
            let to = (o * out_shape[axis] + p) * inner;
            for (tap, weight) in kernel.iter().enumerate() {
                let from = (o * n + p + tap) * inner;
                let weight = weight / norm;
                for i in 0..inner {
                    out[to + i] += weight * values[from + i];
                }
            }
        }
    }
    (out, out_shape)
}
