use std::sync::mpsc::IntoIter;

use burn::module::Module;
use burn::tensor::Device;
use voxshield_models::{Architecture, Network, NoiseGenerator, TensorMap};

use crate::running::RunningLosses;
use crate::schedule::schedule;
use crate::{
    Batch, BilevelConfig, Budget, Event, NoiseLearner, PatchSource, PerturbError, RoundRecord,
    SurrogateLearner, Term, ahead, voxshield_terms,
};

/// Steps between two looks at the losses. Each look waits for the device, so that it drains; without
/// any, a device that works asynchronously would pile up steps, and the batches that they hold.
const STEPS_UNREAD: usize = 4;
/// Seeds above the run's own are taken: 1 by the generator, 2 by the order, 3 by the transforms.
const FURTHER_SEEDS: u64 = 3;

/// VoxShield's bilevel loop (arXiv 2605.17345).
///
/// A round is `surrogate_steps` S-steps, `min_theta DiceCE(F(clamp(x + delta, 0, 1)), y)`, followed
/// by one N-pass over all cases, `min_phi` of the [`Term`]s through the frozen surrogate. Both are
/// minimisations: the surrogate learns that the noise is the label.
///
/// Unlike the reference, delta is not a table of stored arrays: the S-step takes it from the
/// current generator. No case is ever skipped (the last batch of a pass may be smaller), none is
/// left with the noise of its first visit, and memory does not grow with the number of cases.
///
/// With [`transforms`](BilevelConfig::transforms), both kinds of steps see `T(x + delta)` with labels `T(y)`, `T` drawn anew for
/// each sample of each step: the expectation over what a victim may do. With
/// [`other_surrogates`](BilevelConfig::other_surrogates), round `r` trains and asks surrogate `r mod n`.
///
/// Batches are read and uploaded on a thread of their own while the device works, one ahead; delta
/// and the losses stay on the device, which is waited for every few steps only.
pub struct Bilevel {
    config: BilevelConfig,
    device: Device,
    channels: usize,
    classes: usize,
    /// One at least; they take turns, a round each.
    surrogates: Vec<SurrogateLearner>,
    noise: NoiseLearner,
}

/// What the loop leaves behind, on the inner device (no gradients).
#[derive(Debug)]
pub struct Trained {
    /// Maps a normalised volume to its perturbation.
    pub generator: NoiseGenerator,
    /// The surrogate that was trained first (the only one, unless there are others).
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
        let spec = config.surrogate_spec(channels, classes);
        let [depth, height, width] = config.patch;
        let batch = [config.batch, channels, depth, height, width];
        let rates = config.learning_rates;
        let mut surrogates = Vec::new();
        for (index, name) in std::iter::once(&config.surrogate)
            .chain(&config.other_surrogates)
            .enumerate()
        {
            // The seeds differ, or networks would start from the same numbers.
            let seed = config.seed.wrapping_add(match index {
                0 => 0,
                _ => FURTHER_SEEDS + index as u64,
            });
            let network = Architecture::find(name)?.init(&spec, seed, &tracked)?;
            let network = config.precision.apply(network);
            network.check_input(&batch)?;
            surrogates.push(SurrogateLearner::new(network, rates.surrogate, budget));
        }
        let generator = config
            .generator(channels)
            .init(config.seed.wrapping_add(1), &tracked)?
            .with_precision(config.precision);
        generator.check_input(&batch)?;
        let terms = voxshield_terms(
            config.isc_weight,
            config.isc_scaling(),
            config.isc_lags,
            config.spd_weight,
        );
        Ok(Self {
            device: device.clone(),
            channels,
            classes,
            surrogates,
            noise: NoiseLearner::new(generator, rates.noise, budget, terms),
            config,
        })
    }

    /// Adds a term to the noise generator's loss.
    #[must_use]
    pub fn with_term(mut self, term: Box<dyn Term>) -> Self {
        self.noise.add_term(term);
        self
    }

    /// Starts the first surrogate from given weights, e.g. of a network that was trained elsewhere.
    ///
    /// # Errors
    /// [`PerturbError::Weights`] if they are those of another network.
    pub fn with_surrogate_weights(mut self, weights: &TensorMap) -> Result<Self, PerturbError> {
        let first = self.surrogates.remove(0).with_weights(weights)?;
        self.surrogates.insert(0, first);
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
        let batches = {
            let (patch, device) = (self.config.patch, self.device.clone());
            let (channels, classes) = (self.channels, self.classes);
            schedule(&self.config, cases)
                .map(move |draws| Batch::read(source, &draws, patch, channels, classes, &device))
        };
        let history = ahead(batches, |batches| self.rounds(cases, batches, observer))?;
        let trained = Trained {
            generator: self.noise.into_generator().valid(),
            surrogate: self.surrogates.swap_remove(0).into_network().valid(),
            history,
        };
        // Whole volumes come next, of other sizes than the patches: their memory is free for them.
        self.device.memory_cleanup();
        Ok(trained)
    }

    fn rounds(
        &mut self,
        cases: usize,
        mut batches: IntoIter<Result<Batch, PerturbError>>,
        observer: &mut dyn FnMut(&Event),
    ) -> Result<Vec<RoundRecord>, PerturbError> {
        let (rounds, s_steps) = (self.config.rounds, self.config.surrogate_steps);
        let n_steps = cases.div_ceil(self.config.batch);
        let (mut done, total) = (0, rounds * (s_steps + n_steps));
        let mut history = Vec::with_capacity(rounds);
        let transforms = self.config.transforms.clone();
        let seed = self.config.seed.wrapping_add(3);
        for round in 0..rounds {
            let turn = round % self.surrogates.len();
            let surrogate = &mut self.surrogates[turn];
            observer(&Event::RoundStarted { round, rounds });
            let mut tick = || {
                done += 1;
                observer(&Event::Step { done, total });
            };
            let view = |batch: &Batch, step: usize| {
                let step = round * (s_steps + n_steps) + step;
                transforms.draw(batch.image.dims()[0], seed, step as u64)
            };
            let mut losses = RunningLosses::default();
            for (step, batch) in batches.by_ref().take(s_steps).enumerate() {
                let batch = batch?;
                let delta = self.noise.delta(&batch);
                losses.add(vec![surrogate.step(&batch, delta, &view(&batch, step))?]);
                if (step + 1) % STEPS_UNREAD == 0 {
                    check_finite(round, "surrogate", &losses.means())?;
                }
                tick();
            }
            let surrogate_losses = losses.means();
            check_finite(round, "surrogate", &surrogate_losses)?;

            let mut losses = RunningLosses::default();
            for (step, batch) in batches.by_ref().take(n_steps).enumerate() {
                let batch = batch?;
                let view = view(&batch, s_steps + step);
                let loss = self.noise.step(&batch, surrogate.network(), &view)?;
                losses.add(loss.total.into_iter().chain(loss.terms).collect());
                if (step + 1) % STEPS_UNREAD == 0 {
                    check_finite(round, "noise", &losses.means())?;
                }
                tick();
            }
            let noise = losses.means();
            check_finite(round, "noise", &noise)?;

            let terms = self.noise.terms().iter();
            let record = RoundRecord {
                round,
                surrogate_loss: surrogate_losses.first().copied().unwrap_or_default(),
                noise_loss: noise.first().copied().unwrap_or_default(),
                terms: terms
                    .zip(noise.iter().skip(1))
                    .map(|(term, &mean)| (term.name().to_owned(), mean))
                    .collect(),
            };
            observer(&Event::RoundFinished(record.clone()));
            history.push(record);
        }
        Ok(history)
    }
}

/// The first of the means is that of the whole loss.
fn check_finite(round: usize, which: &'static str, means: &[f32]) -> Result<(), PerturbError> {
    match means.first() {
        Some(&value) if !value.is_finite() => Err(PerturbError::Diverged {
            round,
            which,
            value,
        }),
        _ => Ok(()),
    }
}
