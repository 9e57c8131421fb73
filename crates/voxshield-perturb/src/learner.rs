use burn::module::{Module, ModuleVisitor, Param, ParamGroup, ParamId};
use burn::optim::{AdamConfig, GradientsParams, ModuleOptimizer, decay::WeightDecayConfig};
use burn::tensor::Tensor;

/// A network with its optimiser.
pub(crate) struct Learner<M> {
    /// Only empty while `step` runs.
    model: Option<M>,
    optimiser: ModuleOptimizer,
    rate: f64,
}

impl<M: Module> Learner<M> {
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

    pub(crate) fn into_model(self) -> M {
        self.model.expect("a model between steps")
    }

    /// One optimiser step down the gradient of `loss`.
    pub(crate) fn step(&mut self, loss: &Tensor<1>) {
        let model = self.model.take().expect("a model between steps");
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        self.model = Some(self.optimiser.step(self.rate, model, gradients));
    }
}

fn adam(beta_2: f32) -> AdamConfig {
    AdamConfig::new().with_beta_2(beta_2).with_epsilon(1e-8)
}

/// The surrogate's Adam: beta2 0.9999, L2 decay 5e-4 on everything but one-dimensional tensors.
pub(crate) fn surrogate_adam<M: Module>(model: &M) -> ModuleOptimizer {
    let decayed = adam(0.9999).with_weight_decay(Some(WeightDecayConfig::new(5e-4)));
    let vectors = ParamGroup::from_ids(Vectors::of(model));
    decayed
        .init()
        .with_group(vectors, adam(0.9999).build(), None)
}

/// The noise generator's Adam: beta2 0.999, L2 decay 1e-5 on everything.
pub(crate) fn noise_adam() -> ModuleOptimizer {
    adam(0.999)
        .with_weight_decay(Some(WeightDecayConfig::new(1e-5)))
        .init()
}

/// The one-dimensional parameters of a module, that is its biases.
struct Vectors(Vec<ParamId>);

impl Vectors {
    fn of<M: Module>(model: &M) -> Vec<ParamId> {
        let mut vectors = Self(Vec::new());
        model.visit(&mut vectors);
        vectors.0
    }
}

impl ModuleVisitor for Vectors {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if D == 1 {
            self.0.push(param.id);
        }
    }
}
