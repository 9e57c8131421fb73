use std::fmt;

use burn::module::ParamGroup;
use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::tensor::{Gradients, Tensor};
use voxshield_models::{Network, Parameter, TensorMap};

use crate::adam::Adam;
use crate::checkpoint::{LearnerState, optimiser_state, with_optimiser_state};
use crate::{Generator, PerturbError};

/// What an optimiser step turns into its successor.
pub(crate) trait Stepped: Sized {
    fn stepped(self, optimiser: &mut ModuleOptimizer, rate: f64, gradients: Gradients) -> Self;
}

impl Stepped for Box<dyn Network> {
    fn stepped(self, optimiser: &mut ModuleOptimizer, rate: f64, gradients: Gradients) -> Self {
        Network::stepped(self, optimiser, rate, gradients)
    }
}

impl Stepped for Generator {
    fn stepped(self, optimiser: &mut ModuleOptimizer, rate: f64, gradients: Gradients) -> Self {
        let gradients = GradientsParams::from_grads(gradients, &self);
        optimiser.step(rate, self, gradients)
    }
}

/// A network with its optimiser.
pub(crate) struct Learner<M> {
    /// Only empty while `step` runs.
    model: Option<M>,
    optimiser: ModuleOptimizer,
    rate: f64,
}

/// Burn's optimisers have none.
impl<M: fmt::Debug> fmt::Debug for Learner<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut learner = f.debug_struct("Learner");
        learner.field("model", &self.model);
        learner.field("rate", &self.rate);
        learner.finish_non_exhaustive()
    }
}

impl<M: Stepped> Learner<M> {
    pub(crate) fn new(model: M, optimiser: ModuleOptimizer, rate: f64) -> Self {
        Self {
            model: Some(model),
            optimiser,
            rate,
        }
    }

    pub(crate) fn model(&self) -> &M {
        self.model.as_ref().expect("a model between steps")
    }

    pub(crate) fn rate(&self) -> f64 {
        self.rate
    }

    /// `weights` and the optimiser's state, by the names of the model's parameters.
    pub(crate) fn state(
        &self,
        weights: TensorMap,
        parameters: &[Parameter],
    ) -> Result<LearnerState, PerturbError> {
        let (moments, counters) = optimiser_state(&self.optimiser, parameters)?;
        Ok(LearnerState {
            weights,
            moments,
            counters,
        })
    }

    /// The learner with the optimiser's state of `state`.
    pub(crate) fn with_optimiser_state(
        mut self,
        parameters: &[Parameter],
        state: &LearnerState,
    ) -> Result<Self, PerturbError> {
        self.optimiser = with_optimiser_state(self.optimiser, parameters, state)?;
        Ok(self)
    }

    pub(crate) fn into_model(self) -> M {
        self.model.expect("a model between steps")
    }

    /// One optimiser step down the gradient of `loss`.
    pub(crate) fn step(&mut self, loss: &Tensor<1>) {
        let model = self.model.take().expect("a model between steps");
        self.model = Some(model.stepped(&mut self.optimiser, self.rate, loss.backward()));
    }
}

/// The surrogate's Adam: beta2 0.9999, L2 decay 5e-4 on everything but one-dimensional tensors.
pub(crate) fn surrogate_adam(network: &dyn Network) -> ModuleOptimizer {
    let adam = |decay| Adam {
        beta_2: 0.9999,
        decay,
    };
    let parameters = network.describe().into_iter();
    let vectors = parameters.filter(|p| p.shape.len() == 1);
    let vectors = ParamGroup::from_ids(vectors.map(|p| p.id).collect());
    ModuleOptimizer::from(adam(5e-4)).with_group(vectors, adam(0.0), None)
}

/// The noise generator's Adam: beta2 0.999, L2 decay 1e-5 on everything.
pub(crate) fn noise_adam() -> ModuleOptimizer {
    ModuleOptimizer::from(Adam {
        beta_2: 0.999,
        decay: 1e-5,
    })
}
