use burn::module::Module;
use burn::tensor::Device;
use rand::{RngExt, SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use voxshield_models::{Architecture, Network, NoiseGenerator, TensorMap};

use crate::{
    Batch, BilevelConfig, Budget, Event, NoiseLearner, PatchSource, PerturbError, RoundRecord,
    SurrogateLearner, Term, voxshield_terms,
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
    device: Device,
    channels: usize,
    classes: usize,
    surrogate: SurrogateLearner,
    noise: NoiseLearner,
    rng: ChaCha8Rng,
}

/// What the loop leaves behind, on the inner device (no gradients).
#[derive(Debug)]
pub struct Trained {
    /// Maps a normalised volume to its perturbation.
    pub generator: NoiseGenerator,
    /// The last surrogate.
    pub surrogate: Box<dyn Network>,
    /// One record a round.
    pub history: Vec<RoundRecord>,
}

impl Bilevel {
    /// A loop with VoxShield's own terms, ready to run on `device` (without autodiff).
    ///
    /// # Errors
    /// [`PerturbError::Config`] if a setting is out of range, [`PerturbError::Model`] if a network
    /// cannot be built for `channels` and `classes` or the device does not have the precision.
    pub fn new(
        config: BilevelConfig,
        channels: usize,
        classes: usize,
        device: &Device,
    ) -> Result<Self, PerturbError> {
        config.validate()?;
        config.precision.check(device)?;
        let tracked = config.training_device(device);
        let budget = Budget::new(config.epsilon)?;
        // The seeds differ, or both networks would start from the same numbers.
        let surrogate = Architecture::find(&config.surrogate)?.init(
            &config.surrogate_spec(channels, classes),
            config.seed,
            &tracked,
        )?;
        let surrogate = config.precision.apply(surrogate);
        let generator = config
            .generator(channels)
            .init(config.seed.wrapping_add(1), &tracked)?
            .with_precision(config.precision);
        let [depth, height, width] = config.patch;
        let batch = [config.batch, channels, depth, height, width];
        surrogate.check_input(&batch)?;
        generator.check_input(&batch)?;
        let terms = voxshield_terms(config.isc_weight, config.isc_scaling(), config.spd_weight);
        let rates = config.learning_rates;
        Ok(Self {
            device: device.clone(),
            channels,
            classes,
            surrogate: SurrogateLearner::new(surrogate, rates.surrogate, budget),
            noise: NoiseLearner::new(generator, rates.noise, budget, terms),
            rng: ChaCha8Rng::seed_from_u64(config.seed.wrapping_add(2)),
            config,
        })
    }

    /// Adds a term to the noise generator's loss.
    #[must_use]
    pub fn with_term(mut self, term: Box<dyn Term>) -> Self {
        self.noise.add_term(term);
        self
    }

    /// Starts the surrogate from given weights, e.g. of a network that was trained elsewhere.
    ///
    /// # Errors
    /// [`PerturbError::Weights`] if they are those of another network.
    pub fn with_surrogate_weights(mut self, weights: &TensorMap) -> Result<Self, PerturbError> {
        self.surrogate = self.surrogate.with_weights(weights)?;
        Ok(self)
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
                let batch = self.read(source, &batch)?;
                let delta = self.noise.delta(&batch);
                surrogate_loss += self.surrogate.step(&batch, delta)?;
                tick(&mut done);
            }
            let mut noise_loss = 0.0;
            let mut sums = vec![0.0; self.noise.terms().len()];
            let batches = self.noise_batches(cases);
            for batch in &batches {
                let batch = self.read(source, batch)?;
                let loss = self.noise.step(&batch, self.surrogate.network())?;
                noise_loss += loss.total.unwrap_or_default();
                sums.iter_mut()
                    .zip(loss.terms)
                    .for_each(|(sum, value)| *sum += value);
                tick(&mut done);
            }
            let mean = |sum: f32| sum / batches.len() as f32;
            let record = RoundRecord {
                round,
                surrogate_loss: surrogate_loss / self.config.surrogate_steps as f32,
                noise_loss: mean(noise_loss),
                terms: self
                    .noise
                    .terms()
                    .iter()
                    .zip(sums)
                    .map(|(term, sum)| (term.name().to_owned(), mean(sum)))
                    .collect(),
            };
            check_finite(&record)?;
            observer(&Event::RoundFinished(record.clone()));
            history.push(record);
        }
        Ok(Trained {
            generator: self.noise.into_generator().valid(),
            surrogate: self.surrogate.network().valid(),
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
