use super::{same_length, volumes, voxels};
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
    let maps = Maps::new(a, b, shape, range)?;
    let sum: f64 = maps.channels().flatten().sum();
    Ok(sum / (maps.channels * maps.shape.iter().product::<usize>()) as f64)
}

/// [`ssim`], mean over the voxels inside a mask whose window lies inside the volume (on axes
/// of at least 11 voxels, 5 voxels from the border); `None` if there is none.
///
/// A voxel's window reaches 5 voxels beyond the mask. `inside` is `[depth, height, width]` and holds
/// for every channel.
///
/// # Errors
/// As [`ssim_in_range`]; [`EvalError::Length`] if the mask does not fit the shape.
pub fn ssim_inside(
    a: &[f32],
    b: &[f32],
    shape: [usize; 3],
    inside: &[bool],
) -> Result<Option<f64>, EvalError> {
    same_length("mask", voxels(shape)?, inside.len())?;
    let maps = Maps::new(a, b, shape, 1.0)?;
    let [depth, height, width] = maps.shape;
    let margin: [usize; 3] = std::array::from_fn(|axis| (shape[axis] - maps.shape[axis]) / 2);
    let mut mask = Vec::with_capacity(depth * height * width);
    for z in 0..depth {
        for y in 0..height {
            let row = (z + margin[0]) * shape[1] + y + margin[1];
            let start = row * shape[2] + margin[2];
            mask.extend_from_slice(&inside[start..start + width]);
        }
    }
    let count = maps.channels * mask.iter().filter(|inside| **inside).count();
    let of_channel = |map: Vec<f64>| -> f64 {
        let pairs = map.into_iter().zip(&mask);
        pairs
            .filter(|(_, inside)| **inside)
            .map(|(value, _)| value)
            .sum()
    };
    let sum: f64 = maps.channels().map(of_channel).sum();
    Ok((count > 0).then(|| sum / count as f64))
}

/// The similarity at every voxel whose window lies inside.
struct Maps<'a> {
    a: &'a [f32],
    b: &'a [f32],
    channels: usize,
    /// Of the volumes.
    whole: [usize; 3],
    /// Of a map.
    shape: [usize; 3],
    constants: [f64; 2],
}

impl<'a> Maps<'a> {
    fn new(a: &'a [f32], b: &'a [f32], whole: [usize; 3], range: f64) -> Result<Self, EvalError> {
        let voxels = volumes("first array", a.len(), whole)?;
        if !(range.is_finite() && range > 0.0) {
            return Err(EvalError::Parameter {
                what: "intensity range",
                expected: "a positive number",
                found: range.to_string(),
            });
        }
        same_length("second array", a.len(), b.len())?;
        Ok(Self {
            a,
            b,
            channels: a.len() / voxels,
            whole,
            shape: whole.map(|n| if n < TAPS { n } else { n - TAPS + 1 }),
            constants: [K1, K2].map(|k| (k * range).powi(2)),
        })
    }

    /// One map a channel.
    fn channels(&self) -> impl Iterator<Item = Vec<f64>> + '_ {
        let voxels = self.whole.iter().product();
        let pairs = self.a.chunks_exact(voxels).zip(self.b.chunks_exact(voxels));
        pairs.map(|(a, b)| channel(a, b, self.whole, self.constants))
    }
}

fn channel(a: &[f32], b: &[f32], shape: [usize; 3], [c1, c2]: [f64; 2]) -> Vec<f64> {
    let window = |f: &dyn Fn(f64, f64) -> f64| -> Vec<f64> {
        let product: Vec<f64> = a
            .iter()
            .zip(b)
            .map(|(&a, &b)| f(f64::from(a), f64::from(b)))
            .collect();
        let start = (product, shape);
        let smoothed = (0..3).fold(start, |(values, shape), axis| smooth(&values, shape, axis));
        smoothed.0
    };
    let mean_a = window(&|a, _| a);
    let mean_b = window(&|_, b| b);
    let square_a = window(&|a, _| a * a);
    let square_b = window(&|_, b| b * b);
    let product = window(&|a, b| a * b);
    (0..mean_a.len())
        .map(|i| {
            let (ma, mb) = (mean_a[i], mean_b[i]);
            let (va, vb) = (square_a[i] - ma * ma, square_b[i] - mb * mb);
            let covariance = product[i] - ma * mb;
            (2.0 * ma * mb + c1) * (2.0 * covariance + c2)
                / ((ma * ma + mb * mb + c1) * (va + vb + c2))
        })
        .collect()
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
