use burn::backend::Dispatch;
use burn::tensor::{FloatDType, Tensor};

use super::{axes::at_least, cast};
use crate::{KernelError, ops::DivergenceOps};

/// Semantic prediction divergence, `mean |noisy - clean|` over all logits.
///
/// The VoxShield loss subtracts it (`L_SPD` = minus this, METHODS: VoxShield, arXiv 2605.17345), so
/// that the surrogate's prediction on the protected volume moves away from the clean one. The
/// gradient is `sign(noisy - clean) / n`, 0 at ties; pass `clean` detached (computed on the inner
/// device), as nothing should flow into it.
///
/// # Shapes
/// - `noisy`, `clean`: `[batch, class, depth, height, width]`, of any type
/// - output: `[1]`, computed in `f32`
///
/// # Errors
/// [`KernelError::Shape`] if the two shapes differ, [`KernelError::TooShort`] if an axis is empty.
pub fn semantic_divergence(noisy: Tensor<5>, clean: Tensor<5>) -> Result<Tensor<1>, KernelError> {
    if noisy.dims() != clean.dims() {
        return Err(KernelError::Shape {
            op: "semantic_divergence",
            argument: "clean",
            expected: noisy.dims().to_vec(),
            got: clean.dims().to_vec(),
        });
    }
    at_least("semantic_divergence", noisy.dims(), [1; 5])?;
    let [noisy, clean] = [noisy, clean].map(|logits| cast(logits, FloatDType::F32));
    Ok(Tensor::from_dispatch(
        <Dispatch as DivergenceOps>::mean_distance(noisy.into_dispatch(), clean.into_dispatch()),
    ))
}
