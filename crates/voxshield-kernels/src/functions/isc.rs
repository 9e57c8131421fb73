use burn::backend::Dispatch;
use burn::tensor::{FloatDType, Tensor};

use super::{axes::at_least, cast};
use crate::{
    KernelError,
    ops::{DISTANCE_EPSILON, SpectralOps},
};

/// The smallest volume in which slices can differ.
const PAIR: [usize; 5] = [1, 1, 2, 1, 1];

/// How [`inter_slice_divergence`] is scaled.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum IscScaling {
    /// The paper's: unnormalised FFT, mean over slice pairs. Grows with the slice area and the
    /// support, so that its weight means something else on every grid.
    Reference,
    /// Orthonormal FFT, divided by the upper bound `epsilon * sqrt(2 n)` of one pair, where `n` is
    /// the mean number of support voxels in a slice. About 0..1 on every grid.
    Normalised {
        /// The bound on `|delta|`.
        epsilon: f64,
    },
    /// On complex spectra, normalised: `|F x_{z+1} - F x_z|` in place of the difference of the
    /// amplitudes, divided by its upper bound `2 epsilon sqrt(n)`. Amplitudes are blind to a
    /// change of sign or a shift from slice to slice; this is not.
    Phase {
        /// The bound on `|delta|`.
        epsilon: f64,
    },
}

/// Distances between the amplitude spectra of adjacent slices.
///
/// `d_z = sqrt(sum_{h,w} (|F x_{z+1}| - |F x_z|)^2 + 1e-10)`, `F` the unnormalised 2D DFT of a
/// slice; every height and width works. Differentiable; the gradient of `|F|` at 0 is 0.
///
/// # Shapes
/// - `x`: `[batch, channel, depth, height, width]`, of any type
/// - output: `[batch, channel, depth - 1]`, computed in `f32`
///
/// # Errors
/// [`KernelError::TooShort`] if depth is below 2 or another axis is empty.
pub fn slice_distances(x: Tensor<5>) -> Result<Tensor<3>, KernelError> {
    at_least("slice_distances", x.dims(), PAIR)?;
    // Sums over a slice need more bits than a half has, and more range.
    let x = cast(x, FloatDType::F32);
    Ok(Tensor::from_dispatch(
        <Dispatch as SpectralOps>::slice_distances(x.into_dispatch()),
    ))
}

/// Inter-slice frequency divergence of a perturbation, to be *maximised* (the VoxShield loss
/// subtracts it; METHODS section 1, arXiv 2605.17345).
///
/// `ISC = mean_{b,c,z} d_z` with the distances of [`slice_distances`], scaled by [`IscScaling`].
/// The normalised scaling divides each sample's mean by `sqrt(height * width)` (orthonormal FFT)
/// and by `epsilon * sqrt(2 n)`, with `n` the mean number of voxels that `support` has in a slice
/// pair's slices: by Parseval and the triangle inequality no pair of slices bounded by epsilon can
/// exceed it by more than the spread of the support between slices allows.
///
/// [`IscScaling::Phase`] needs no transform: by Parseval the distance of two complex orthonormal
/// spectra is that of the slices themselves, `sqrt(sum_{h,w} (x_{z+1} - x_z)^2 + 1e-10)`. Its
/// bound counts `n` as above, and 1 is reached by a perturbation that flips its sign from slice to
/// slice on a support that does not change. (Ours, not the paper's.)
///
/// # Shapes
/// - `delta`: `[batch, channel, depth, height, width]`, of any type, as `support`
/// - `support`: `[batch, 1, depth, height, width]`, the share of epsilon that delta may use: 1 where it may be non-zero and 0
///   elsewhere, or between. Where it is between, the sum of shares stands for `n`, and the bound is not attained
/// - output: `[1]`, computed in `f32`
///
/// # Errors
/// [`KernelError::TooShort`] as [`slice_distances`], [`KernelError::Shape`] if `support` does not
/// fit, [`KernelError::Parameter`] if epsilon is not positive.
pub fn inter_slice_divergence(
    delta: Tensor<5>,
    support: &Tensor<5>,
    scaling: IscScaling,
) -> Result<Tensor<1>, KernelError> {
    let [batch, _, depth, height, width] = delta.dims();
    let expected = [batch, 1, depth, height, width];
    if support.dims() != expected {
        return Err(KernelError::Shape {
            op: "inter_slice_divergence",
            argument: "support",
            expected: expected.to_vec(),
            got: support.dims().to_vec(),
        });
    }
    let delta = cast(delta, FloatDType::F32);
    let distances = match scaling {
        IscScaling::Phase { .. } => complex_distances(delta)?,
        _ => slice_distances(delta)?,
    };
    // The largest distance of a pair of slices whose supports hold `pairs` voxels together, squared.
    let (epsilon, largest) = match scaling {
        IscScaling::Reference => return Ok(distances.mean()),
        IscScaling::Normalised { epsilon } => (epsilon, (height * width) as f64),
        IscScaling::Phase { epsilon } => (epsilon, 2.0),
    };
    if !(epsilon > 0.0 && epsilon.is_finite()) {
        return Err(KernelError::Parameter {
            op: "inter_slice_divergence",
            parameter: "epsilon",
            expected: "a positive number".into(),
            got: epsilon.to_string(),
        });
    }
    // Slices without support carry no perturbation; they would only dilute the mean.
    let per_slice: Tensor<2> = cast(support.clone().detach(), FloatDType::F32)
        .reshape([batch, depth, height * width])
        .sum_dim(2)
        .reshape([batch, depth]);
    let pairs =
        per_slice.clone().slice([0..batch, 0..depth - 1]) + per_slice.slice([0..batch, 1..depth]);
    let occupied = pairs.clone().greater_elem(0.0).float();
    let bound = (pairs * largest).clamp_min(1.0).sqrt().mul_scalar(epsilon);
    let relative = distances.mean_dim(1).reshape([batch, depth - 1]) * occupied.clone() / bound;
    Ok(relative.sum() / occupied.sum().clamp_min(1.0))
}

/// `sqrt(sum_{h,w} (x_{z+1} - x_z)^2 + 1e-10)`, `[batch, channel, depth - 1]`.
fn complex_distances(x: Tensor<5>) -> Result<Tensor<3>, KernelError> {
    at_least("inter_slice_divergence", x.dims(), PAIR)?;
    let [batch, channels, depth, height, width] = x.dims();
    let slices = x.reshape([batch, channels, depth, height * width]);
    let step = slices.clone().narrow(2, 1, depth - 1) - slices.narrow(2, 0, depth - 1);
    let squares = step.clone() * step;
    let sums = squares.sum_dim(3).add_scalar(DISTANCE_EPSILON).sqrt();
    Ok(sums.reshape([batch, channels, depth - 1]))
}
