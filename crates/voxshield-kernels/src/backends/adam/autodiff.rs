use burn::backend::{Autodiff, autodiff::checkpoint::strategy::CheckpointStrategy};

use crate::ops::AdamOps;

// A step takes tensors without autodiff; on others the default body, a composition of
// differentiable operations, is right as well.
impl<B: AdamOps, C: CheckpointStrategy> AdamOps for Autodiff<B, C> {}
