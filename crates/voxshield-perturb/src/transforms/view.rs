use std::fmt;

use burn::tensor::{Int, Tensor, kind::Basic};

use super::family::Change;

/// How a network sees a batch in one step: the drawn changes of each sample.
pub struct View(Vec<Vec<Box<dyn Change>>>);

impl fmt::Debug for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What was drawn are tensors of places and numbers.
        let changes: Vec<usize> = self.0.iter().map(Vec::len).collect();
        f.debug_struct("View").field("changes", &changes).finish()
    }
}

impl View {
    /// The batch as it is.
    pub fn identity() -> Self {
        Self(Vec::new())
    }

    pub(super) fn new(samples: Vec<Vec<Box<dyn Change>>>) -> Self {
        Self(samples)
    }

    /// The images as they are seen, differentiable in `x`. Two batches of one size are changed alike.
    ///
    /// # Shapes
    /// `[batch, channel, depth, height, width]`, kept; intensities 0..1. Samples beyond those that were drawn stay as they are.
    pub fn image(&self, x: Tensor<5>) -> Tensor<5> {
        self.each(x, |change, x| change.image(x))
    }

    /// The labels of what is seen, nearest voxels; shape `[batch, depth, height, width]`, kept.
    pub fn labels(&self, y: Tensor<4, Int>) -> Tensor<4, Int> {
        self.each(y, |change, y| change.labels(y))
    }

    fn each<const D: usize, K: Basic>(
        &self,
        batch: Tensor<D, K>,
        apply: impl Fn(&dyn Change, Tensor<D, K>) -> Tensor<D, K>,
    ) -> Tensor<D, K> {
        if self.0.iter().all(Vec::is_empty) {
            return batch;
        }
        let samples = (0..batch.dims()[0]).map(|index| {
            let sample = batch.clone().narrow(0, index, 1);
            let changes = self.0.get(index).into_iter().flatten();
            changes.fold(sample, |sample, change| apply(&**change, sample))
        });
        Tensor::cat(samples.collect(), 0)
    }
}
