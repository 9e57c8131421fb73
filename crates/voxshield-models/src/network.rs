use std::fmt::Debug;

use burn::module::Module;
use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::tensor::{Device, Gradients, Tensor};

use crate::{
    NamedParameters, Parameter, Segmenter, TensorMap, WeightsError, describe, gradients,
    load_parameters, parameters, parameters::noisy_parameters,
};

/// A [`Segmenter`] that can be trained, stored and loaded, whatever its architecture.
///
/// The trait is object-safe, so that `Box<dyn Network>` is any network; every module with
/// [`Segmenter`] and [`NamedParameters`] has it without further code.
pub trait Network: Segmenter + Debug {
    /// All parameters and running statistics, in the module's order.
    fn describe(&self) -> Vec<Parameter>;

    /// The number of learned weights and biases.
    fn parameter_count(&self) -> usize;

    /// Where the parameters are; with autodiff, and its checkpointing, where they are trained.
    fn device(&self) -> Device;

    /// A copy of [`Network::describe`]'s tensors on the host; see [`parameters`](fn@parameters).
    ///
    /// # Errors
    ///
    /// [`WeightsError::Data`] if the device cannot be read.
    fn weights(&self) -> Result<TensorMap, WeightsError>;

    /// The gradients of the parameters on the host; see [`gradients`](fn@gradients).
    ///
    /// # Errors
    ///
    /// [`WeightsError::Data`] if the device cannot be read.
    fn gradients(&self, of: &Gradients) -> Result<TensorMap, WeightsError>;

    /// The network with other weights; see [`load_parameters`].
    ///
    /// # Errors
    ///
    /// [`WeightsError::Mismatch`] if they are those of another network.
    fn with_weights(self: Box<Self>, weights: &TensorMap)
    -> Result<Box<dyn Network>, WeightsError>;

    /// A copy for inference, on the inner device: no gradients, running statistics, no dropout.
    fn valid(&self) -> Box<dyn Network>;

    /// A copy through which gradients flow to the input but not to the weights, and which uses
    /// running statistics and no dropout: PyTorch's `eval()` with frozen weights.
    fn frozen(&self) -> Box<dyn Network>;

    /// A copy whose learned weights have Gaussian noise of this standard deviation added, drawn from `seed`. Gradients flow through the
    /// noise to the weights of the original, unless it is frozen. Nothing else comes back from a copy: what its forward passes do to
    /// running statistics and to the stream of a dropout does not reach the original.
    fn with_weight_noise(&self, deviation: f64, seed: u64) -> Box<dyn Network>;

    /// The network after one optimiser step.
    fn stepped(
        self: Box<Self>,
        optimiser: &mut ModuleOptimizer,
        learning_rate: f64,
        gradients: Gradients,
    ) -> Box<dyn Network>;
}

impl<M> Network for M
where
    M: Segmenter + NamedParameters + Debug + 'static,
{
    fn describe(&self) -> Vec<Parameter> {
        describe(self)
    }

    fn parameter_count(&self) -> usize {
        crate::parameter_count(self)
    }

    fn device(&self) -> Device {
        // Every network has a parameter, all of them in one place.
        self.devices().into_iter().next().unwrap_or_default()
    }

    fn weights(&self) -> Result<TensorMap, WeightsError> {
        parameters(self)
    }

    fn gradients(&self, of: &Gradients) -> Result<TensorMap, WeightsError> {
        gradients(self, of)
    }

    fn with_weights(
        self: Box<Self>,
        weights: &TensorMap,
    ) -> Result<Box<dyn Network>, WeightsError> {
        Ok(Box::new(load_parameters(*self, weights)?))
    }

    fn valid(&self) -> Box<dyn Network> {
        Box::new(Module::valid(self))
    }

    fn frozen(&self) -> Box<dyn Network> {
        Box::new(self.clone().freeze())
    }

    fn with_weight_noise(&self, deviation: f64, seed: u64) -> Box<dyn Network> {
        Box::new(noisy_parameters(self, deviation, seed))
    }

    fn stepped(
        self: Box<Self>,
        optimiser: &mut ModuleOptimizer,
        learning_rate: f64,
        gradients: Gradients,
    ) -> Box<dyn Network> {
        let gradients = GradientsParams::from_grads(gradients, &*self);
        Box::new(optimiser.step(learning_rate, *self, gradients))
    }
}

/// `x` as a leaf whose gradient can be asked for after a forward pass of `network`, recorded (with
/// gradient checkpointing or without) as the network records its own.
///
/// `x`, of any shape, is without autodiff: the input of the network, or what the input is made from.
pub fn input_leaf<const D: usize>(network: &dyn Network, x: Tensor<D>) -> Tensor<D> {
    let strategy = network.device().gradient_checkpointing_strategy();
    x.autodiff()
        .with_gradient_checkpointing_strategy(strategy.unwrap_or_default())
        .require_grad()
}
