use burn::tensor::Tensor;

use crate::PerturbError;

/// Steps between two looks at the losses. Each look waits for the device, so that it drains; without
/// any, a device that works asynchronously would pile up steps, and the batches that they hold.
pub(crate) const STEPS_UNREAD: usize = 4;

/// Sums of losses on the device: reading a value waits for the device, adding one does not.
#[derive(Default)]
pub(crate) struct RunningLosses {
    sums: Option<Tensor<1>>,
    count: usize,
}

impl RunningLosses {
    /// Adds the losses of one step, the same number every time.
    pub(crate) fn add(&mut self, losses: Vec<Tensor<1>>) {
        self.count += 1;
        if losses.is_empty() {
            return;
        }
        let losses = Tensor::cat(losses, 0);
        self.sums = Some(match self.sums.take() {
            None => losses,
            Some(sums) => sums + losses,
        });
    }

    /// The means so far, of which the first is that of the whole loss; waits for the device.
    ///
    /// # Errors
    /// [`PerturbError::Diverged`] if that is no longer finite.
    pub(crate) fn finite(
        &self,
        round: usize,
        which: &'static str,
    ) -> Result<Vec<f32>, PerturbError> {
        let means = self.means();
        match means.first() {
            Some(&value) if !value.is_finite() => Err(PerturbError::Diverged {
                round,
                which,
                value,
            }),
            _ => Ok(means),
        }
    }

    fn means(&self) -> Vec<f32> {
        let Some(sums) = &self.sums else {
            return Vec::new();
        };
        let sums = sums.to_data();
        sums.iter::<f32>()
            .map(|sum| sum / self.count as f32)
            .collect()
    }
}
