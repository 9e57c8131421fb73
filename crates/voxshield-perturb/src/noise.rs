use burn::module::Module;
use burn::tensor::Tensor;
use voxshield_models::{Network, describe, load_parameters, parameters};

use crate::checkpoint::LearnerState;
use crate::learner::{Learner, noise_adam};
use crate::{Batch, Budget, Generator, NoiseStep, PerturbError, Term, View};

/// The noise generator G with its optimiser: N-steps, `min_phi sum_i weight_i term_i` through the
/// frozen surrogate.
///
/// The optimiser is Adam with betas 0.9 and 0.999, epsilon 1e-8, and an L2 decay of 1e-5 on
/// everything, as in the reference.
#[derive(Debug)]
pub struct NoiseLearner {
    learner: Learner<Generator>,
    budget: Budget,
    terms: Vec<Box<dyn Term>>,
}

/// The loss of an N-step.
#[derive(Debug, Clone)]
pub struct NoiseLoss {
    /// The weighted sum, shape `[1]`; absent without terms.
    pub total: Option<Tensor<1>>,
    /// Each term before its weight, shape `[1]`, in the order of the terms.
    pub terms: Vec<Tensor<1>>,
}

impl NoiseLearner {
    /// `generator` is on an autodiff device; `rate` is Adam's step size.
    pub fn new(
        generator: impl Into<Generator>,
        rate: f64,
        budget: Budget,
        terms: Vec<Box<dyn Term>>,
    ) -> Self {
        Self {
            learner: Learner::new(generator.into(), noise_adam(), rate),
            budget,
            terms,
        }
    }

    /// The generator as it is now.
    pub fn generator(&self) -> &Generator {
        self.learner.model()
    }

    /// Weights, moments and counters.
    pub(crate) fn state(&self) -> Result<LearnerState, PerturbError> {
        let generator = self.generator();
        self.learner
            .state(parameters(generator)?, &describe(generator))
    }

    /// The learner as it was when `state` was taken.
    pub(crate) fn with_state(mut self, state: &LearnerState) -> Result<Self, PerturbError> {
        let rate = self.learner.rate();
        let generator = load_parameters(self.learner.into_model(), &state.weights)?;
        let parameters = describe(&generator);
        self.learner =
            Learner::new(generator, noise_adam(), rate).with_optimiser_state(&parameters, state)?;
        Ok(self)
    }

    /// The last generator, with its gradients.
    pub fn into_generator(self) -> Generator {
        self.learner.into_model()
    }

    /// The terms of the loss.
    pub fn terms(&self) -> &[Box<dyn Term>] {
        &self.terms
    }

    /// Adds a term to the loss.
    pub fn add_term(&mut self, term: Box<dyn Term>) {
        self.terms.push(term);
    }

    /// The perturbation of a batch within budget and support, without gradients.
    pub fn delta(&self, batch: &Batch) -> Tensor<5> {
        // On the inner device: a tracked forward pass without a backward pass would keep its graph
        // alive.
        let generator = self.generator().valid();
        let delta = generator.forward(batch.image.clone(), batch.foreground());
        self.budget.project(delta, &batch.support)
    }

    /// The loss on a batch, with gradients into the generator; `view` is what happens to the clean and the protected batch
    /// before the surrogate sees them.
    ///
    /// # Errors
    /// What a term refuses.
    pub fn loss(
        &self,
        batch: &Batch,
        surrogate: &dyn Network,
        view: &View,
    ) -> Result<NoiseLoss, PerturbError> {
        let clean = self.terms.iter().any(|term| term.needs_clean_logits());
        let clean_logits =
            clean.then(|| surrogate.valid().forward(view.image(batch.image.clone())));
        let (image, support) = (batch.image.clone(), batch.support.clone());
        let delta = self.generator().forward(image.clone(), batch.foreground());
        let delta = self.budget.project(delta, &support);
        // Frozen, the surrogate costs no weight gradient, and its normalisation is that of
        // inference.
        let noisy = view.image(self.budget.protect(image.clone(), delta.clone()));
        let step = NoiseStep {
            noisy_logits: surrogate.frozen().forward(noisy),
            labels: view.labels(batch.labels.clone()),
            image,
            support,
            delta,
            clean_logits,
        };
        let mut loss = NoiseLoss {
            total: None,
            terms: Vec::with_capacity(self.terms.len()),
        };
        for term in &self.terms {
            let value = term.value(&step)?;
            let weighted = value.clone() * term.weight();
            loss.terms.push(value);
            loss.total = Some(match loss.total {
                None => weighted,
                Some(total) => total + weighted,
            });
        }
        Ok(loss)
    }

    /// One N-step; the loss before it, without gradients and still on the device: reading it waits for
    /// the step.
    ///
    /// # Errors
    /// As [`NoiseLearner::loss`].
    pub fn step(
        &mut self,
        batch: &Batch,
        surrogate: &dyn Network,
        view: &View,
    ) -> Result<NoiseLoss, PerturbError> {
        let loss = self.loss(batch, surrogate, view)?;
        if let Some(total) = &loss.total {
            self.learner.step(total);
        }
        Ok(NoiseLoss {
            total: loss.total.map(Tensor::inner),
            terms: loss.terms.into_iter().map(Tensor::inner).collect(),
        })
    }
}
