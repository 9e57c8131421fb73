//! The loss of the residual heads.

use burn::tensor::activation::log_sigmoid;
use burn::tensor::{FloatDType, Int, Tensor};

use voxshield_kernels::cast;

use super::slice_difference;

/// The least weight of a voxel at which a class begins or ends.
const LEAST_WEIGHT: f64 = 1e-5;

/// Where a class begins or ends: `q_{b,c,z} = 1` where `labels == c` differs between the slices
/// `z` and `z - 1`, 0 elsewhere and in the first slice.
///
/// # Shapes
///
/// `[batch, depth, height, width]` to `[batch, classes, depth, height, width]`.
pub(super) fn slice_changes(labels: Tensor<4, Int>, classes: usize) -> Tensor<5> {
    let index = Tensor::<1, Int>::arange(0..classes as i64, &labels.device());
    let index = index.reshape([1, classes, 1, 1, 1]);
    slice_difference(labels.unsqueeze_dim::<5>(1).equal(index).float())
}

/// `W = mean(p q softplus(-r) + (1 - q) softplus(r))` over batch, class and voxels: the binary
/// cross-entropy of the logits `r` and the labels `q`, positive voxels weighted by
/// `p_{b,c} = max(ln(N / (N_pos + 1)), 1e-5)`, `N` the voxels and `N_pos` those with `q = 1`.
pub(super) fn weighted_cross_entropy(logits: Tensor<5>, changes: Tensor<5>) -> Tensor<1> {
    let [batch, classes, depth, height, width] = logits.dims();
    let voxels = depth * height * width;
    let flat = [batch, classes, voxels];
    let logits = cast(logits, FloatDType::F32);
    let (r, q) = (logits.reshape(flat), changes.reshape(flat));
    let positive = q.clone().sum_dim(2) + 1.0;
    let weight = (positive.recip() * voxels as f64)
        .log()
        .clamp_min(LEAST_WEIGHT);
    // softplus(-r) = -ln sigmoid(r), for which Burn has a stable gradient, and
    // softplus(r) = softplus(-r) + r saves the other one, the costliest step of the loss.
    let present = log_sigmoid(r.clone()).neg();
    let rest = q.clone().neg() + 1.0;
    ((weight * q + rest.clone()) * present + rest * r).mean()
}
