use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, module};

use super::WeightRng;
use super::convolution::{init_bound, with_biases};
use crate::precision::like;

/// The structure of a [`Linear`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinearSpec {
    channels: [usize; 2],
    bias: bool,
}

impl LinearSpec {
    /// From `channels[0]` to `channels[1]` features, with bias.
    pub fn new(channels: [usize; 2]) -> Self {
        Self {
            channels,
            bias: true,
        }
    }

    /// Without bias.
    #[must_use]
    pub fn without_bias(self) -> Self {
        Self {
            bias: false,
            ..self
        }
    }

    /// `[in, out]`.
    pub fn channels(&self) -> [usize; 2] {
        self.channels
    }

    /// Floating-point operations for `rows` vectors, 2 for each multiply-add; the bias is not
    /// counted.
    pub fn flops(&self, rows: u64) -> u64 {
        self.weights().saturating_mul(rows).saturating_mul(2)
    }

    /// Weights and biases; saturating.
    pub fn parameter_count(&self) -> u64 {
        with_biases(self.weights(), self.channels, self.bias)
    }

    /// Creates the layer, initialised as PyTorch does by default: weight `[out, in]` and bias
    /// `[out]` are drawn from `U(-b, b)`, `b = 1 / sqrt(in)`, the weight first.
    pub fn init(self, rng: &mut WeightRng, device: &Device) -> Linear {
        let [input, output] = self.channels;
        let bound = init_bound(input, [1; 3]);
        Linear {
            weight: rng.uniform([output, input], bound, device),
            bias: self.bias.then(|| rng.uniform([output], bound, device)),
            spec: self,
        }
    }

    fn weights(&self) -> u64 {
        let [input, output] = self.channels.map(|n| n as u64);
        input.saturating_mul(output)
    }
}

/// `y = x W^T + b` for each vector along the last axis.
///
/// The weight is stored as in PyTorch, `[out, in]`; Burn's own linear layer stores its transpose.
#[derive(Module, Debug)]
pub struct Linear {
    /// `[out, in]`.
    pub weight: Param<Tensor<2>>,
    /// `[out]`.
    pub bias: Option<Param<Tensor<1>>>,
    #[module(skip)]
    spec: LinearSpec,
}

impl Linear {
    /// `[.., in]` to `[.., out]`.
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        let bias = self.bias.as_ref().map(|bias| like(bias.val(), &x));
        let weight = like(self.weight.val(), &x).transpose();
        module::linear(x, weight, bias)
    }

    /// The structure that the layer was created from.
    pub fn spec(&self) -> &LinearSpec {
        &self.spec
    }
}
