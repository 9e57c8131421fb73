use burn::optim::ModuleOptimizer;
use burn::tensor::{Device, ElementConversion};
use rand::{RngExt, SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use voxshield_kernels::DiceCe;
use voxshield_models::{Architecture, Network, TensorMap};
use voxshield_perturb::{Batch, PatchSource, PerturbError};

use super::{VictimConfig, augmented::Augmented};
use crate::{
    EvalError,
    training::{StepContext, TrainingDefence},
};

/// A victim in training, one step at a time.
///
/// The loss is the network's own: DiceCE, with deep supervision or residual heads where its authors
/// have them.
pub struct VictimTrainer {
    config: VictimConfig,
    sizes: [usize; 2],
    device: Device,
    /// Only empty while an optimiser steps.
    model: Option<Box<dyn Network>>,
    optimiser: ModuleOptimizer,
    rng: ChaCha8Rng,
    criterion: DiceCe,
    order: Vec<usize>,
    step: usize,
}

impl VictimTrainer {
    /// A victim before its first step; `sizes` are its channels and classes (background included).
    ///
    /// # Errors
    /// [`EvalError::Model`] for a network that cannot be built or refuses the patch size, or a device
    /// without the precision.
    pub fn new(
        config: &VictimConfig,
        sizes: [usize; 2],
        device: &Device,
    ) -> Result<Self, EvalError> {
        config.precision.check(device)?;
        let mut tracked = device.clone().autodiff();
        if config.checkpointing {
            tracked = tracked.gradient_checkpointing();
        }
        let architecture = Architecture::find(&config.network)?;
        let model = architecture.init(&config.spec(sizes), config.seed, &tracked)?;
        let model = config.precision.apply(model);
        let [depth, height, width] = config.patch;
        model.check_input(&[config.batch, sizes[0], depth, height, width])?;
        Ok(Self {
            model: Some(model),
            sizes,
            device: device.clone(),
            optimiser: config.optimiser.init(),
            rng: ChaCha8Rng::seed_from_u64(config.seed.wrapping_add(1)),
            criterion: DiceCe::default(),
            order: Vec::new(),
            step: 0,
            config: config.clone(),
        })
    }

    /// Starts from other weights than the seed's.
    ///
    /// # Errors
    /// [`EvalError::Weights`] if they are those of another network.
    pub fn with_weights(mut self, weights: &TensorMap) -> Result<Self, EvalError> {
        let model = self.model.take().expect("a network between steps");
        self.model = Some(model.with_weights(weights)?);
        Ok(self)
    }

    /// Steps done.
    pub fn steps_done(&self) -> usize {
        self.step
    }

    /// The network as it is now, for inference on the inner device.
    pub fn network(&self) -> Box<dyn Network> {
        self.model().valid()
    }

    fn model(&self) -> &dyn Network {
        &**self.model.as_ref().expect("a network between steps")
    }

    /// One optimiser step on patches of `source`, which delivers what the victim sees; returns the
    /// loss before it.
    ///
    /// `defence` may change what the step learns from: its [`batch`](TrainingDefence::batch) is called here, and nothing else of it.
    /// [`fit`](TrainingDefence::fit) and [`clean_cases`](TrainingDefence::clean_cases) are for the caller, who makes the source.
    ///
    /// # Errors
    /// [`EvalError::Patches`] if a case cannot be read, [`EvalError::Diverged`] if the loss is no
    /// longer finite, and what the defence reports. The step is not done then, and the next call goes on with other patches.
    pub fn step(
        &mut self,
        source: &mut dyn PatchSource,
        defence: Option<&dyn TrainingDefence>,
    ) -> Result<f32, EvalError> {
        let [channels, classes] = self.sizes;
        let mut source = Augmented {
            inner: source,
            augmentation: self.config.augmentation,
            preprocessing: self.config.preprocessing,
        };
        let places = self.places(source.cases())?;
        let (patch, device) = (self.config.patch, &self.device);
        let mut batch = Batch::read(&mut source, &places, patch, channels, classes, device)?;
        if let Some(defence) = defence {
            let context = StepContext {
                network: self.model(),
                criterion: &self.criterion,
                device,
                step: self.step,
                steps: self.config.steps,
                seed: places.first().map_or(0, |&(_, seed)| seed),
                preprocessing: self.config.preprocessing,
            };
            batch = defence.batch(batch, &context)?;
        }
        let loss = self
            .model()
            .training_loss(batch.image, batch.labels, &self.criterion)?;
        // Before anything can return: without it the graph would stay in memory.
        let gradients = loss.backward();
        let value: f32 = loss.into_scalar::<f32>().elem();
        if !value.is_finite() {
            let step = self.step;
            return Err(EvalError::Diverged { step, value });
        }
        let rate = self.config.rate(self.step);
        let model = self.model.take().expect("a network between steps");
        self.model = Some(model.stepped(&mut self.optimiser, rate, gradients));
        self.step += 1;
        Ok(value)
    }

    /// The cases of the next batch, each with a seed for its patch; every case once a round.
    fn places(&mut self, cases: usize) -> Result<Vec<(usize, u64)>, EvalError> {
        if cases == 0 {
            return Err(PerturbError::NoCases.into());
        }
        let mut places = Vec::with_capacity(self.config.batch);
        while places.len() < self.config.batch {
            if self.order.is_empty() {
                self.order = (0..cases).collect();
                self.order.shuffle(&mut self.rng);
            }
            let case = self.order.pop();
            places.extend(case.map(|case| (case, self.rng.random::<u64>())));
        }
        Ok(places)
    }
}

#[cfg(test)]
mod tests {
    use voxshield_testkit::device;

    use super::*;

    #[test]
    fn every_case_comes_once_a_round_each_time_with_a_seed_of_its_own() {
        let config = VictimConfig {
            patch: [16; 3],
            batch: 4,
            ..VictimConfig::narrow()
        };
        let mut trainer = VictimTrainer::new(&config, [1, 2], &device()).unwrap();
        let batches = (0..5).map(|_| trainer.places(5).unwrap());
        let places: Vec<(usize, u64)> = batches.flatten().collect();
        let rounds: Vec<Vec<usize>> = places
            .chunks(5)
            .map(|round| round.iter().map(|place| place.0).collect())
            .collect();
        for round in &rounds {
            let mut sorted = round.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, [0, 1, 2, 3, 4]);
        }
        assert!(rounds[1..].iter().any(|round| *round != rounds[0]));
        let mut seeds: Vec<u64> = places.iter().map(|place| place.1).collect();
        seeds.sort_unstable();
        seeds.dedup();
        assert_eq!(seeds.len(), 20);
        let none = trainer.places(0);
        assert!(matches!(
            none,
            Err(EvalError::Patches(PerturbError::NoCases))
        ));
    }
}
