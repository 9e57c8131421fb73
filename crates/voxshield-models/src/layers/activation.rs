use burn::module::{Module, Param};
use burn::nn::{LeakyRelu, PRelu, Relu};
use burn::tensor::activation::prelu;
use burn::tensor::{Device, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use crate::ModelError;
use crate::precision::like;

/// The value that a PReLU slope starts from, as in PyTorch.
const PRELU_INIT: f32 = 0.25;

/// A point-wise activation function.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Activation {
    /// `max(x, 0)`.
    Relu,
    /// `max(x, 0) + slope * min(x, 0)` with a fixed slope.
    LeakyRelu(f64),
    /// `max(x, 0) + a * min(x, 0)` with one learned slope `a` for all channels, 0.25 at first.
    Prelu,
}

impl Activation {
    /// Checks the slope.
    ///
    /// # Errors
    ///
    /// [`ModelError::OutOfRange`] if the slope of a leaky ReLU is not finite.
    pub fn validate(&self) -> Result<(), ModelError> {
        match *self {
            Self::LeakyRelu(slope) if !slope.is_finite() => Err(ModelError::OutOfRange {
                what: "activation.leaky_relu",
                expected: "a finite slope",
                found: slope,
            }),
            _ => Ok(()),
        }
    }

    /// Creates the layer; only [`Activation::Prelu`] holds a parameter.
    pub fn init(self, device: &Device) -> ActivationLayer {
        match self {
            Self::Relu => ActivationLayer::Relu(Relu),
            Self::LeakyRelu(negative_slope) => {
                ActivationLayer::LeakyRelu(LeakyRelu { negative_slope })
            }
            Self::Prelu => ActivationLayer::Prelu(PRelu {
                alpha: Param::from_data(TensorData::new(vec![PRELU_INIT], [1]), device),
                alpha_value: f64::from(PRELU_INIT),
            }),
        }
    }

    /// Learned parameters of one such layer.
    pub(super) fn parameter_count(self) -> u64 {
        u64::from(matches!(self, Self::Prelu))
    }
}

/// An [`Activation`] with its learned slope, if it has one.
#[derive(Module, Debug)]
pub enum ActivationLayer {
    /// See [`Activation::Relu`].
    Relu(Relu),
    /// See [`Activation::LeakyRelu`].
    LeakyRelu(LeakyRelu),
    /// See [`Activation::Prelu`]; the slope has shape `[1]`.
    Prelu(PRelu),
}

impl ActivationLayer {
    /// Applies the function to every element; the shape is kept.
    pub fn forward(&self, x: Tensor<5>) -> Tensor<5> {
        match self {
            Self::Relu(layer) => layer.forward(x),
            Self::LeakyRelu(layer) => layer.forward(x),
            Self::Prelu(layer) => prelu(x.clone(), like(layer.alpha.val(), &x)),
        }
    }
}
