use burn::optim::ModuleOptimizer;
use burn::tensor::{Device, FloatDType, Gradients, Int, Tensor};
use voxshield_kernels::{DiceCe, KernelError, cast};

use crate::{ModelError, Network, Parameter, Precision, Segmenter, TensorMap, WeightsError};

/// A network whose activations have a [`Precision`] of their own; created by [`Precision::apply`].
///
/// The input is cast when it enters. Every layer casts its weights to the type of what it is given,
/// and the gradients come back through the casts, so that weights and gradients are `f32`.
#[derive(Debug)]
pub struct MixedPrecision {
    network: Box<dyn Network>,
    precision: Precision,
}

impl MixedPrecision {
    pub(crate) fn new(network: Box<dyn Network>, precision: Precision) -> Self {
        Self { network, precision }
    }

    fn wrap(&self, network: Box<dyn Network>) -> Box<dyn Network> {
        self.precision.apply(network)
    }
}

impl Segmenter for MixedPrecision {
    fn forward(&self, x: Tensor<5>) -> Tensor<5> {
        let logits = self.network.forward(cast(x, self.precision.dtype()));
        cast(logits, FloatDType::F32)
    }

    fn in_channels(&self) -> usize {
        self.network.in_channels()
    }

    fn classes(&self) -> usize {
        self.network.classes()
    }

    fn size_multiple(&self) -> [usize; 3] {
        self.network.size_multiple()
    }

    fn flops(&self, sizes: [usize; 3]) -> u64 {
        self.network.flops(sizes)
    }

    fn training_loss(
        &self,
        x: Tensor<5>,
        labels: Tensor<4, Int>,
        criterion: &DiceCe,
    ) -> Result<Tensor<1>, KernelError> {
        // The criterion computes in f32 whatever it is given.
        let x = cast(x, self.precision.dtype());
        self.network.training_loss(x, labels, criterion)
    }

    fn draws_in_training(&self) -> bool {
        self.network.draws_in_training()
    }

    fn check_input(&self, shape: &[usize; 5]) -> Result<(), ModelError> {
        self.network.check_input(shape)
    }
}

impl Network for MixedPrecision {
    fn describe(&self) -> Vec<Parameter> {
        self.network.describe()
    }

    fn parameter_count(&self) -> usize {
        self.network.parameter_count()
    }

    fn device(&self) -> Device {
        self.network.device()
    }

    fn weights(&self) -> Result<TensorMap, WeightsError> {
        self.network.weights()
    }

    fn gradients(&self, of: &Gradients) -> Result<TensorMap, WeightsError> {
        self.network.gradients(of)
    }

    fn with_weights(
        self: Box<Self>,
        weights: &TensorMap,
    ) -> Result<Box<dyn Network>, WeightsError> {
        let precision = self.precision;
        Ok(precision.apply(self.network.with_weights(weights)?))
    }

    fn valid(&self) -> Box<dyn Network> {
        self.wrap(self.network.valid())
    }

    fn frozen(&self) -> Box<dyn Network> {
        self.wrap(self.network.frozen())
    }

    fn with_weight_noise(&self, deviation: f64, seed: u64) -> Box<dyn Network> {
        self.wrap(self.network.with_weight_noise(deviation, seed))
    }

    fn stepped(
        self: Box<Self>,
        optimiser: &mut ModuleOptimizer,
        learning_rate: f64,
        gradients: Gradients,
    ) -> Box<dyn Network> {
        let precision = self.precision;
        precision.apply(self.network.stepped(optimiser, learning_rate, gradients))
    }
}
