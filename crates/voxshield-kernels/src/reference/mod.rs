//! The formulas as plain `f64` loops on small arrays: what the tensor code is tested against.
//!
//! Nothing here is fast, nothing here uses Burn, and no product code calls it.

mod adam;
mod convolution;
mod dice_ce;
mod isc;
mod norm;

pub use adam::adam_step;
pub use convolution::{ConvSizes, convolve, convolve_adjoint, convolve_weight_gradient};
pub use dice_ce::{dice_ce, overlap_sums, overlap_sums_gradient};
pub use isc::slice_distances;
pub use norm::{instance_norm_act, instance_norm_act_gradient};

/// `mean |noisy - clean|`; 0 for empty slices.
pub fn semantic_divergence(noisy: &[f64], clean: &[f64]) -> f64 {
    let sum: f64 = noisy.iter().zip(clean).map(|(a, b)| (a - b).abs()).sum();
    sum / noisy.len().max(1) as f64
}
