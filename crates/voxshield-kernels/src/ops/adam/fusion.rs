//! Shapes and types of the outputs, for kernel fusion: it plans ahead of the kernels.

use burn::backend::fusion::custom::TensorSpec;

use super::AdamStep;

/// Weight and moments keep theirs.
pub(super) fn step(
    weight: &TensorSpec,
    _gradient: &TensorSpec,
    first: &TensorSpec,
    second: &TensorSpec,
    _step: &AdamStep,
) -> (TensorSpec, TensorSpec, TensorSpec) {
    (weight.clone(), first.clone(), second.clone())
}
