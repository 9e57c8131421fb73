use burn::tensor::Tensor;

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

    /// The means so far; waits for the device.
    pub(crate) fn means(&self) -> Vec<f32> {
        let Some(sums) = &self.sums else {
            return Vec::new();
        };
        let sums = sums.to_data();
        sums.iter::<f32>()
            .map(|sum| sum / self.count as f32)
            .collect()
    }
}
