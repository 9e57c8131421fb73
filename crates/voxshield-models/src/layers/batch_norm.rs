use burn::module::{Flag, Module, Param};
use burn::tensor::{Device, Tensor, module};

use super::constant;
use super::running_statistic::RunningStatistic;
use crate::precision::in_f32;

/// What is added to the variance, as in PyTorch.
pub const BATCH_NORM_EPSILON: f64 = 1e-5;

/// The share of the current batch in the new running statistics, as in PyTorch.
const MOMENTUM: f64 = 0.1;

/// Batch normalisation as PyTorch's `BatchNorm3d`,
/// `y = weight * (x - mean) / sqrt(var + 1e-5) + bias`.
///
/// In training (on an autodiff device, not frozen) mean and biased variance are those of the
/// channel over batch and voxels, and the running statistics move by a tenth toward mean and
/// *unbiased* variance; Burn's own layer takes the biased one. Otherwise the running statistics
/// are used.
#[derive(Module, Debug)]
pub struct BatchNorm {
    /// `[channel]`, 1 at first.
    pub weight: Param<Tensor<1>>,
    /// `[channel]`, 0 at first.
    pub bias: Param<Tensor<1>>,
    /// `[channel]`, 0 at first.
    pub running_mean: RunningStatistic,
    /// `[channel]`, 1 at first.
    pub running_var: RunningStatistic,
    /// Whether training behaviour is allowed; [`Module::freeze`] switches it off.
    pub training: Param<Flag>,
}

impl BatchNorm {
    /// The layer for `channels` channels.
    pub fn new(channels: usize, device: &Device) -> Self {
        Self {
            weight: constant([channels], 1.0, device),
            bias: constant([channels], 0.0, device),
            running_mean: RunningStatistic::new(Tensor::zeros([channels], device)),
            running_var: RunningStatistic::new(Tensor::ones([channels], device)),
            training: Param::from_bool(true),
        }
    }

    /// `[batch, channel, depth, height, width]`, kept.
    ///
    /// In training, a channel of a single value (one sample of one voxel) becomes its bias, and the
    /// running statistics stay as they are: the unbiased variance of one value does not exist.
    pub fn forward(&self, x: Tensor<5>) -> Tensor<5> {
        in_f32(x, |x| self.normalised(x))
    }

    fn normalised(&self, x: Tensor<5>) -> Tensor<5> {
        let (weight, bias) = (self.weight.val(), self.bias.val());
        if !(self.training.is_enabled() && x.is_autodiff()) {
            let (mean, var) = (self.running_mean.value(), self.running_var.value());
            return module::batch_norm(x, weight, bias, mean, var, BATCH_NORM_EPSILON);
        }
        let [batch, _, d, h, w] = x.dims();
        let count = (batch * d * h * w) as f64;
        let result = module::batch_norm_train(x, weight, bias, BATCH_NORM_EPSILON);
        if count > 1.0 {
            let unbiased = result.variance.mul_scalar(count / (count - 1.0));
            self.running_mean.update(result.mean, MOMENTUM);
            self.running_var.update(unbiased, MOMENTUM);
        }
        result.output
    }
}
