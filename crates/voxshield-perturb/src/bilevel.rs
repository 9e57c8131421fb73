use std::collections::BTreeMap;
use std::sync::mpsc::IntoIter;

use burn::module::Module;
use burn::tensor::Device;
use voxshield_models::{Architecture, Network, NoiseGenerator, TensorMap};

use crate::running::RunningLosses;
use crate::schedule::schedule;
use crate::{
    Batch, BilevelConfig, Budget, Event, NoiseLearner, PatchSource, PerturbError, RoundRecord,
    SaveState, SurrogateLearner, Term, TrainingState, ahead, checkpoint, voxshield_terms,
};

/// Steps between two looks at the losses. Each look waits for the device, so that it drains; without
/// any, a device that works asynchronously would pile up steps, and the batches that they hold.
pub(crate) const STEPS_UNREAD: usize = 4;
/// Seeds above the run's own are taken: 1 by the generator, 2 by the order, 3 by the transforms.
const FURTHER_SEEDS: u64 = 3;

/// The generator's role in a [`TrainingState`].
const GENERATOR: &str = "generator";

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
    history: Vec<RoundRecord>,
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
            history: Vec::new(),
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

    /// Whether the state between two rounds is all that later rounds depend on. Not so for a surrogate that draws in training (V-Net's
    /// dropout): its run starts anew when it is interrupted.
    pub fn is_resumable(&self) -> bool {
        let mut surrogates = self.surrogates.iter();
        surrogates.all(|surrogate| !surrogate.network().draws_in_training())
    }

    /// Goes on from where `state` was taken, in a run of the same configuration over the same cases.
    ///
    /// # Errors
    /// [`PerturbError::State`] or [`PerturbError::Weights`] if it is the state of another run.
    pub fn resumed(mut self, state: &TrainingState) -> Result<Self, PerturbError> {
        let learner = |role: &str| {
            let found = state.learners.get(role);
            found.ok_or_else(|| checkpoint::state(format!("it has no {role}")))
        };
        if state.round > self.config.rounds || state.history.len() != state.round {
            return Err(checkpoint::state(format!(
                "{} rounds with {} records; the run has {} rounds",
                state.round,
                state.history.len(),
                self.config.rounds
            )));
        }
        let surrogates = self.surrogates.into_iter().enumerate();
        self.surrogates = surrogates
            .map(|(index, surrogate)| surrogate.with_state(learner(&role(index))?))
            .collect::<Result<_, _>>()?;
        self.noise = self.noise.with_state(learner(GENERATOR)?)?;
        self.history.clone_from(&state.history);
        Ok(self)
    }

    fn state(&self) -> Result<TrainingState, PerturbError> {
        let mut learners = BTreeMap::from([(GENERATOR.to_owned(), self.noise.state()?)]);
        for (index, surrogate) in self.surrogates.iter().enumerate() {
            learners.insert(role(index), surrogate.state()?);
        }
        Ok(TrainingState {
            round: self.history.len(),
            history: self.history.clone(),
            learners,
        })
    }

    /// Runs all rounds.
    ///
    /// # Errors
    /// [`PerturbError::NoCases`], whatever the source or a term reports, and
    /// [`PerturbError::Diverged`] if a loss is no longer finite.
    pub fn run(
        self,
        source: &mut dyn PatchSource,
        observer: &mut dyn FnMut(&Event),
    ) -> Result<Trained, PerturbError> {
        self.run_with(source, None, observer)
    }

    /// As [`Bilevel::run`], with the state for `save` after every round.
    ///
    /// # Errors
    /// As [`Bilevel::run`], and what `save` reports.
    pub fn run_with(
        mut self,
        source: &mut dyn PatchSource,
        save: Option<SaveState<'_>>,
        observer: &mut dyn FnMut(&Event),
    ) -> Result<Trained, PerturbError> {
        let cases = source.cases();
        if cases == 0 {
            return Err(PerturbError::NoCases);
        }
        let batches = {
            let (patch, device) = (self.config.patch, self.device.clone());
            let (channels, classes) = (self.channels, self.classes);
            let done = self.history.len() * self.steps_a_round(cases);
            schedule(&self.config, cases)
                .skip(done)
                .map(move |draws| Batch::read(source, &draws, patch, channels, classes, &device))
        };
        ahead(batches, |batches| {
            self.rounds(cases, batches, save, observer)
        })?;
        let trained = Trained {
            generator: self.noise.into_generator().valid(),
            surrogate: self.surrogates.swap_remove(0).into_network().valid(),
            history: self.history,
        };
        // Whole volumes come next, of other sizes than the patches: their memory is free for them.
        self.device.memory_cleanup();
        Ok(trained)
    }

    fn steps_a_round(&self, cases: usize) -> usize {
        self.config.surrogate_steps + cases.div_ceil(self.config.batch)
    }

    fn rounds(
        &mut self,
        cases: usize,
        mut batches: IntoIter<Result<Batch, PerturbError>>,
        mut save: Option<SaveState<'_>>,
        observer: &mut dyn FnMut(&Event),
    ) -> Result<(), PerturbError> {
        let (rounds, s_steps) = (self.config.rounds, self.config.surrogate_steps);
        let n_steps = cases.div_ceil(self.config.batch);
        let begun = self.history.len();
        let a_round = self.steps_a_round(cases);
        let (mut done, total) = (begun * a_round, rounds * a_round);
        let transforms = self.config.transforms.clone();
        let seed = self.config.seed.wrapping_add(3);
        for round in begun..rounds {
            let turn = round % self.surrogates.len();
            let surrogate = &mut self.surrogates[turn];
            observer(&Event::RoundStarted { round, rounds });
            let mut tick = || {
                done += 1;
                observer(&Event::Step { done, total });
            };
            let view = |batch: &Batch, step: usize| {
                let step = round * a_round + step;
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
            self.history.push(record);
            if let Some(save) = &mut save {
                save(&|| self.state())?;
            }
        }
        Ok(())
    }
}

/// A surrogate's role in a [`TrainingState`].
fn role(index: usize) -> String {
    format!("surrogate-{index}")
}

/// The first of the means is that of the whole loss.
pub(crate) fn check_finite(
    round: usize,
    which: &'static str,
    means: &[f32],
) -> Result<(), PerturbError> {
    match means.first() {
        Some(&value) if !value.is_finite() => Err(PerturbError::Diverged {
            round,
            which,
            value,
        }),
        _ => Ok(()),
    }
}
