use burn::tensor::Tensor;
use voxshield_kernels::DiceCe;
use voxshield_models::{Network, TensorMap};

use crate::checkpoint::LearnerState;
use crate::learner::{Learner, surrogate_adam};
use crate::{Batch, Budget, PerturbError, View};

/// The surrogate F with its optimiser: S-steps, `min_theta L(F(clamp(x + delta, 0, 1)), y)`.
///
/// `L` is the network's own training loss with DiceCE as its criterion. The optimiser is Adam with
/// betas 0.9 and 0.9999, epsilon 1e-8, and an L2 decay of 5e-4 on everything but one-dimensional
/// tensors, as in the reference.
#[derive(Debug)]
pub struct SurrogateLearner {
    learner: Learner<Box<dyn Network>>,
    budget: Budget,
    criterion: DiceCe,
}

impl SurrogateLearner {
    /// `network` is on an autodiff device; `rate` is Adam's step size.
    pub fn new(network: Box<dyn Network>, rate: f64, budget: Budget) -> Self {
        let optimiser = surrogate_adam(&*network);
        Self {
            learner: Learner::new(network, optimiser, rate),
            budget,
            criterion: DiceCe::default(),
        }
    }

    /// The surrogate with other weights; the optimiser starts anew.
    ///
    /// # Errors
    /// [`PerturbError::Weights`] if they are those of another network.
    pub fn with_weights(self, weights: &TensorMap) -> Result<Self, PerturbError> {
        let (rate, budget) = (self.learner.rate(), self.budget);
        let network = self.into_network().with_weights(weights)?;
        Ok(Self::new(network, rate, budget))
    }

    /// Whether the state between two steps is all that later steps depend on. Not so for a network that draws in training, as ConResNet
    /// does for its dropout at any width, V-Net and SegResNet at full width: its run starts anew when it is interrupted.
    pub(crate) fn is_resumable(&self) -> bool {
        !self.network().draws_in_training()
    }

    /// Weights, moments and counters.
    pub(crate) fn state(&self) -> Result<LearnerState, PerturbError> {
        let network = self.network();
        self.learner.state(network.weights()?, &network.describe())
    }

    /// The learner as it was when `state` was taken.
    pub(crate) fn with_state(self, state: &LearnerState) -> Result<Self, PerturbError> {
        let mut learner = self.with_weights(&state.weights)?;
        let parameters = learner.network().describe();
        learner.learner = learner.learner.with_optimiser_state(&parameters, state)?;
        Ok(learner)
    }

    /// The surrogate as it is now.
    pub fn network(&self) -> &dyn Network {
        &**self.learner.model()
    }

    /// The last surrogate, with its gradients.
    pub fn into_network(self) -> Box<dyn Network> {
        self.learner.into_model()
    }

    /// The loss on a protected batch, with gradients into the weights.
    ///
    /// `delta` is `[batch, channel, depth, height, width]` like the image, without gradients; `view` is what happens to the
    /// protected batch before the network sees it.
    ///
    /// # Errors
    /// [`PerturbError::Kernel`] if labels and logits do not fit.
    pub fn loss(
        &self,
        batch: &Batch,
        delta: Tensor<5>,
        view: &View,
    ) -> Result<Tensor<1>, PerturbError> {
        self.loss_of(self.network(), batch, delta, view)
    }

    fn loss_of(
        &self,
        network: &dyn Network,
        batch: &Batch,
        delta: Tensor<5>,
        view: &View,
    ) -> Result<Tensor<1>, PerturbError> {
        // Without autodiff, batches are constants to whatever records the network's gradients.
        let noisy = view.image(self.budget.protect(batch.image.clone(), delta));
        let labels = view.labels(batch.labels.clone());
        Ok(network.training_loss(noisy, labels, &self.criterion)?)
    }

    /// One S-step; the loss before it, without gradients and still on the device: reading it waits for
    /// the step.
    ///
    /// # Errors
    /// As [`SurrogateLearner::loss`].
    pub fn step(
        &mut self,
        batch: &Batch,
        delta: Tensor<5>,
        view: &View,
    ) -> Result<Tensor<1>, PerturbError> {
        let loss = self.loss(batch, delta, view)?;
        self.learner.step(&loss);
        Ok(loss.inner())
    }

    /// One S-step on the mean of the losses with Gaussian noise of this standard deviation on the weights, a draw for each seed.
    ///
    /// Running statistics and the place in a stream of draws stay what they were, see [`Network::with_weight_noise`].
    ///
    /// # Errors
    /// As [`SurrogateLearner::loss`]; [`PerturbError::Config`] without a seed.
    pub fn step_smoothed(
        &mut self,
        batch: &Batch,
        delta: &Tensor<5>,
        deviation: f64,
        seeds: impl IntoIterator<Item = u64>,
    ) -> Result<Tensor<1>, PerturbError> {
        let mut losses = Vec::new();
        for seed in seeds {
            let noisy = self.network().with_weight_noise(deviation, seed);
            losses.push(self.loss_of(&*noisy, batch, delta.clone(), &View::identity())?);
        }
        if losses.is_empty() {
            return Err(PerturbError::Config {
                what: "draws of noise on the weights",
                expected: "at least one".into(),
                found: "none".into(),
            });
        }
        let loss = Tensor::cat(losses, 0).mean();
        self.learner.step(&loss);
        Ok(loss.inner())
    }
}
