use burn::module::Module;
use burn::tensor::{Device, ElementConversion, Tensor};
use rand::{RngExt, SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use voxshield_kernels::DiceCe;
use voxshield_models::{NoiseGenerator, ResidualUnet, Segmenter};

use crate::{
    Batch, BilevelConfig, Budget, Event, NoiseStep, PatchSource, PerturbError, RoundRecord, Term,
    learner::{Learner, noise_adam, surrogate_adam},
    voxshield_terms,
};

/// VoxShield's bilevel loop (arXiv 2605.17345).
///
/// A round is `surrogate_steps` S-steps, `min_theta DiceCE(F(clamp(x + delta, 0, 1)), y)`, followed
/// by one N-pass over all cases, `min_phi` of the [`Term`]s through the frozen surrogate. Both are
/// minimisations: the surrogate learns that the noise is the label.
///
/// Unlike the reference, delta is not a table of stored arrays: the S-step takes it from the
/// current generator. No case is ever skipped (the last batch of a pass may be smaller), none is
/// left with the noise of its first visit, and memory does not grow with the number of cases.
pub struct Bilevel {
    config: BilevelConfig,
    budget: Budget,
    terms: Vec<Box<dyn Term>>,
    device: Device,
    channels: usize,
    classes: usize,
    surrogate: Learner<ResidualUnet>,
    generator: Learner<NoiseGenerator>,
    rng: ChaCha8Rng,
}

/// What the loop leaves behind, on the inner device (no gradients).
#[derive(Debug)]
pub struct Trained {
    /// Maps a normalised volume to its perturbation.
    pub generator: NoiseGenerator,
    /// The last surrogate.
    pub surrogate: ResidualUnet,
    /// One record a round.
    pub history: Vec<RoundRecord>,
}

impl Bilevel {
    /// A loop with VoxShield's own terms, ready to run on `device` (without autodiff).
    ///
    /// # Errors
    /// [`PerturbError::Config`] if a setting is out of range, [`PerturbError::Model`] if a network
    /// cannot be built for `channels` and `classes`.
    pub fn new(
        config: BilevelConfig,
        channels: usize,
        classes: usize,
        device: &Device,
    ) -> Result<Self, PerturbError> {
        config.validate()?;
        let tracked = device.clone().autodiff();
        // The seeds differ, or both networks would start from the same numbers.
        let surrogate = config
            .surrogate(channels, classes)
            .init(config.seed, &tracked)?;
        let generator = config
            .generator(channels)
            .init(config.seed.wrapping_add(1), &tracked)?;
        let terms = voxshield_terms(config.isc_weight, config.isc_scaling(), config.spd_weight);
        let optimiser = surrogate_adam(&surrogate);
        Ok(Self {
            budget: Budget::new(config.epsilon)?,
            terms,
            device: device.clone(),
            channels,
            classes,
            surrogate: Learner::new(surrogate, optimiser, config.learning_rates.surrogate),
            generator: Learner::new(generator, noise_adam(), config.learning_rates.noise),
            rng: ChaCha8Rng::seed_from_u64(config.seed.wrapping_add(2)),
            config,
        })
    }

    /// Adds a term to the noise generator's loss.
    #[must_use]
    pub fn with_term(mut self, term: Box<dyn Term>) -> Self {
        self.terms.push(term);
        self
    }

    /// Runs all rounds.
    ///
    /// # Errors
    /// [`PerturbError::NoCases`], whatever the source or a term reports, and
    /// [`PerturbError::Diverged`] if a loss is no longer finite.
    pub fn run(
        mut self,
        source: &mut dyn PatchSource,
        observer: &mut dyn FnMut(&Event),
    ) -> Result<Trained, PerturbError> {
        let cases = source.cases();
        if cases == 0 {
            return Err(PerturbError::NoCases);
        }
        let rounds = self.config.rounds;
        let steps = self.config.surrogate_steps + cases.div_ceil(self.config.batch);
        let (mut done, total) = (0, rounds * steps);
        let mut history = Vec::with_capacity(rounds);
        for round in 0..rounds {
            observer(&Event::RoundStarted { round, rounds });
            let mut tick = |done: &mut usize| {
                *done += 1;
                observer(&Event::Step { done: *done, total });
            };
            let mut surrogate_loss = 0.0;
            for batch in self.surrogate_batches(cases) {
                surrogate_loss += self.surrogate_step(source, &batch)?;
                tick(&mut done);
            }
            let mut sums = vec![0.0; self.terms.len() + 1];
            let batches = self.noise_batches(cases);
            for batch in &batches {
                let values = self.noise_step(source, batch)?;
                sums.iter_mut().zip(values).for_each(|(sum, v)| *sum += v);
                tick(&mut done);
            }
            sums.iter_mut().for_each(|sum| *sum /= batches.len() as f32);
            let record = RoundRecord {
                round,
                surrogate_loss: surrogate_loss / self.config.surrogate_steps as f32,
                noise_loss: sums[0],
                terms: self
                    .terms
                    .iter()
                    .zip(&sums[1..])
                    .map(|(term, &value)| (term.name().to_owned(), value))
                    .collect(),
            };
            check_finite(&record)?;
            observer(&Event::RoundFinished(record.clone()));
            history.push(record);
        }
        Ok(Trained {
            generator: self.generator.into_model().valid(),
            surrogate: self.surrogate.into_model().valid(),
            history,
        })
    }

    fn surrogate_batches(&mut self, cases: usize) -> Vec<Vec<(usize, u64)>> {
        let (steps, batch) = (self.config.surrogate_steps, self.config.batch);
        let rng = &mut self.rng;
        (0..steps)
            .map(|_| {
                (0..batch)
                    .map(|_| (rng.random_range(0..cases), rng.random()))
                    .collect()
            })
            .collect()
    }

    /// Every case exactly once, in random order.
    fn noise_batches(&mut self, cases: usize) -> Vec<Vec<(usize, u64)>> {
        let mut order: Vec<usize> = (0..cases).collect();
        order.shuffle(&mut self.rng);
        let rng = &mut self.rng;
        order
            .chunks(self.config.batch)
            .map(|chunk| chunk.iter().map(|&case| (case, rng.random())).collect())
            .collect()
    }

    fn read(
        &self,
        source: &mut dyn PatchSource,
        cases: &[(usize, u64)],
    ) -> Result<Batch, PerturbError> {
        let (patch, device) = (self.config.patch, &self.device);
        Batch::read(source, cases, patch, self.channels, self.classes, device)
    }

    fn surrogate_step(
        &mut self,
        source: &mut dyn PatchSource,
        cases: &[(usize, u64)],
    ) -> Result<f32, PerturbError> {
        let batch = self.read(source, cases)?;
        // The generator runs without gradients: a tracked forward pass without a backward pass
        // would keep its graph alive.
        let delta = self.generator.model().valid().forward(batch.image.clone());
        let delta = self.budget.project(delta, &batch.support);
        let noisy = self.budget.protect(batch.image, delta).autodiff();
        let labels = batch.labels.autodiff();
        let loss = DiceCe::default().forward(self.surrogate.model().forward(noisy), labels)?;
        self.surrogate.step(&loss);
        Ok(scalar(loss))
    }

    /// The whole loss, then each term's value.
    fn noise_step(
        &mut self,
        source: &mut dyn PatchSource,
        cases: &[(usize, u64)],
    ) -> Result<Vec<f32>, PerturbError> {
        let batch = self.read(source, cases)?;
        let clean_logits = self.terms.iter().any(|t| t.needs_clean_logits()).then(|| {
            self.surrogate
                .model()
                .valid()
                .forward(batch.image.clone())
                .autodiff()
        });
        let image = batch.image.autodiff();
        let support = batch.support.autodiff();
        let delta = self.generator.model().forward(image.clone());
        let delta = self.budget.project(delta, &support);
        // Without gradients of its own, the frozen surrogate costs no weight gradient.
        let frozen = self.surrogate.model().clone().no_grad();
        let noisy = self.budget.protect(image.clone(), delta.clone());
        let step = NoiseStep {
            noisy_logits: frozen.forward(noisy),
            labels: batch.labels.autodiff(),
            image,
            support,
            delta,
            clean_logits,
        };
        let mut total: Option<Tensor<1>> = None;
        let mut values = Vec::with_capacity(self.terms.len());
        for term in &self.terms {
            let value = term.value(&step)?;
            let weighted = value.clone() * term.weight();
            values.push(value);
            total = Some(match total {
                None => weighted,
                Some(total) => total + weighted,
            });
        }
        let Some(total) = total else {
            return Ok(vec![0.0]);
        };
        self.generator.step(&total);
        Ok(std::iter::once(total).chain(values).map(scalar).collect())
    }
}

fn scalar(t: Tensor<1>) -> f32 {
    t.into_scalar::<f32>().elem()
}

fn check_finite(record: &RoundRecord) -> Result<(), PerturbError> {
    for (which, value) in [
        ("surrogate", record.surrogate_loss),
        ("noise", record.noise_loss),
    ] {
        if !value.is_finite() {
            return Err(PerturbError::Diverged {
                round: record.round,
                which,
                value,
            });
        }
    }
    Ok(())
}
