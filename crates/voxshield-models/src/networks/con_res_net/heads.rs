use burn::tensor::{Int, Tensor};
use voxshield_kernels::{DiceCe, KernelError};

use super::loss::{slice_changes, weighted_cross_entropy};

/// All outputs of a [`ConResNet`](super::ConResNet), each
/// `[batch, classes, depth, height, width]` with the sizes of the input.
#[derive(Debug, Clone)]
pub struct ConResHeads {
    /// Logits of the classes.
    pub segmentation: Tensor<5>,
    /// Logits of "this class begins or ends between the previous slice and this one", from the full,
    /// the half and the quarter resolution.
    pub residuals: [Tensor<5>; 3],
}

impl ConResHeads {
    /// `criterion(segmentation) + W(full) + (W(half) + W(quarter)) / 2`; see
    /// [`ConResNet`](super::ConResNet) for `W`.
    ///
    /// # Errors
    ///
    /// What the criterion refuses.
    pub(super) fn loss(
        self,
        labels: Tensor<4, Int>,
        criterion: &DiceCe,
    ) -> Result<Tensor<1>, KernelError> {
        let [_, classes, ..] = self.segmentation.dims();
        let loss = criterion.forward(self.segmentation, labels.clone())?;
        let changes = slice_changes(labels, classes);
        let [full, half, quarter] = self
            .residuals
            .map(|logits| weighted_cross_entropy(logits, changes.clone()));
        Ok(loss + full + (half + quarter) / 2.0)
    }
}
