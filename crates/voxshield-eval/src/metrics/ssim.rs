use super::same_length;
use crate::EvalError;

const TAPS: usize = 11;
const SIGMA: f64 = 1.5;
const C1: f64 = 0.01 * 0.01;
const C2: f64 = 0.03 * 0.03;

/// Structural similarity of two volumes with intensities in 0..1, mean over voxels and channels.
///
/// Gaussian window of 11 taps per axis with sigma 1.5, no padding (only voxels whose window lies
/// inside count), `K = (0.01, 0.03)`, population covariance. An axis shorter than the window is
/// not smoothed, as in the reference.
///
/// Arrays are `[channel, depth, height, width]`, `shape` is `[depth, height, width]`.
///
/// # Errors
/// [`EvalError::Length`] if an array is not a whole number of volumes or the two differ,
/// [`EvalError::Empty`] if an axis has no voxel.
pub fn ssim(a: &[f32], b: &[f32], shape: [usize; 3]) -> Result<f64, EvalError> {
    let voxels: usize = shape.iter().product();
    if voxels == 0 {
        return Err(EvalError::Empty { shape });
    }
    same_length("second array", a.len(), b.len())?;
    same_length(
        "first array",
        a.len().div_ceil(voxels).max(1) * voxels,
        a.len(),
    )?;
    let channels = a.len() / voxels;
    let sum: f64 = a
        .chunks_exact(voxels)
        .zip(b.chunks_exact(voxels))
        .map(|(a, b)| channel(a, b, shape))
        .sum();
    Ok(sum / channels as f64)
}

fn channel(a: &[f32], b: &[f32], shape: [usize; 3]) -> f64 {
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
            (2.0 * ma * mb + C1) * (2.0 * covariance + C2)
                / ((ma * ma + mb * mb + C1) * (va + vb + C2))
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
