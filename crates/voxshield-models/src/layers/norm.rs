use burn::module::Module;
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use super::{ActivationLayer, BatchNorm, instance_norm, normalise_and_activate};

/// The normalisation after a convolution.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Norm {
    /// Each sample and channel by itself, without learned parameters; see
    /// [`instance_norm`](fn@instance_norm).
    #[default]
    Instance,
    /// Each channel over the whole batch, with a learned weight and bias; see [`BatchNorm`].
    Batch,
}

impl Norm {
    /// Creates the layer.
    pub fn init(self, channels: usize, device: &Device) -> NormLayer {
        NormLayer {
            batch: match self {
                Self::Instance => None,
                Self::Batch => Some(BatchNorm::new(channels, device)),
            },
        }
    }

    /// Learned parameters of one such layer.
    pub(crate) fn parameter_count(self, channels: usize) -> u64 {
        match self {
            Self::Instance => 0,
            Self::Batch => (channels as u64).saturating_mul(2),
        }
    }
}

/// A [`Norm`] with its parameters and running statistics.
#[derive(Module, Debug)]
pub struct NormLayer {
    /// `None` for instance normalisation.
    pub batch: Option<BatchNorm>,
}

impl NormLayer {
    /// `[batch, channel, depth, height, width]`, kept.
    pub fn forward(&self, x: Tensor<5>) -> Tensor<5> {
        match &self.batch {
            Some(norm) => norm.forward(x),
            None => instance_norm(x),
        }
    }

    /// `activation(forward(x))`, in one operation where that is possible.
    pub fn forward_activated(&self, x: Tensor<5>, activation: &ActivationLayer) -> Tensor<5> {
        match &self.batch {
            Some(norm) => activation.forward(norm.forward(x)),
            None => normalise_and_activate(x, None, Some(activation)),
        }
    }
}
