use std::collections::BTreeMap;

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use voxshield_models::{Network, TensorMap};

use crate::alternation::{Alternating, Alternation};
use crate::checkpoint::{LearnerState, surrogate_role};
use crate::{
    Batch, BilevelConfig, Budget, Event, Generator, NoiseLearner, PatchSource, PerturbError,
    RoundRecord, SaveState, SurrogateConfig, SurrogateLearner, Term, TrainingState, View,
    voxshield_terms,
};

/// Seeds above the run's own are taken: 1 by the generator, 2 by the order, 3 by the transforms.
const FURTHER_SEEDS: u64 = 3;

/// The generator's role in a [`TrainingState`].
const GENERATOR: &str = "generator";

/// VoxShield's bilevel loop (arXiv 2605.17345), for its own [`Generator`] or another.
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
#[derive(Debug)]
pub struct Bilevel {
    config: BilevelConfig,
    device: Device,
    channels: usize,
    classes: usize,
    players: Players,
    history: Vec<RoundRecord>,
}

/// What the loop trains.
#[derive(Debug)]
struct Players {
    /// One at least; they take turns, a round each.
    surrogates: Vec<SurrogateLearner>,
    noise: NoiseLearner,
}

/// What the loop leaves behind, on the inner device (no gradients).
#[derive(Debug)]
pub struct Trained {
    /// Maps a normalised volume to its perturbation.
    pub generator: Generator,
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
        let surrogate = config.common.learner(channels, classes, device)?;
        Self::of(config, surrogate, device)
    }

    /// As [`Bilevel::new`], against a network of your own in place of the one that the configuration names. It is created on
    /// [`SurrogateConfig::training_device`]; device, channels and classes are its own. Further surrogates are named ones.
    ///
    /// # Errors
    /// As [`Bilevel::new`], and those of [`SurrogateConfig::learner_for`].
    pub fn for_surrogate(
        config: BilevelConfig,
        surrogate: Box<dyn Network>,
    ) -> Result<Self, PerturbError> {
        config.validate()?;
        let device = surrogate.device().without_autodiff();
        let surrogate = config.common.learner_for(surrogate)?;
        Self::of(config, surrogate, &device)
    }

    fn of(
        config: BilevelConfig,
        surrogate: SurrogateLearner,
        device: &Device,
    ) -> Result<Self, PerturbError> {
        let common = &config.common;
        let network = surrogate.network();
        let (channels, classes) = (network.in_channels(), network.classes());
        let mut surrogates = vec![surrogate];
        for (index, name) in (1..).zip(&config.other_surrogates) {
            let other = SurrogateConfig {
                surrogate: name.clone(),
                // The seeds differ, or networks would start from the same numbers.
                seed: common.seed.wrapping_add(FURTHER_SEEDS + index),
                ..common.clone()
            };
            surrogates.push(other.learner(channels, classes, device)?);
        }
        let generator = config.init_generator(channels, &common.training_device(device))?;
        generator.check_input(&common.batch_shape(channels))?;
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
            players: Players {
                surrogates,
                noise: NoiseLearner::new(
                    generator,
                    config.noise_rate,
                    Budget::new(common.epsilon)?,
                    terms,
                ),
            },
            history: Vec::new(),
            config,
        })
    }

    /// Adds a term to the noise generator's loss.
    #[must_use]
    pub fn with_term(mut self, term: Box<dyn Term>) -> Self {
        self.players.noise.add_term(term);
        self
    }

    /// Starts the first surrogate from given weights, e.g. of a network that was trained elsewhere.
    ///
    /// # Errors
    /// [`PerturbError::Weights`] if they are those of another network.
    pub fn with_surrogate_weights(mut self, weights: &TensorMap) -> Result<Self, PerturbError> {
        let surrogates = &mut self.players.surrogates;
        let first = surrogates.remove(0).with_weights(weights)?;
        surrogates.insert(0, first);
        Ok(self)
    }

    /// Whether the state between two rounds is all that later rounds depend on. Not so for a surrogate that draws in training
    /// ([`Segmenter::draws_in_training`](voxshield_models::Segmenter::draws_in_training)): its run starts anew when it is interrupted.
    pub fn is_resumable(&self) -> bool {
        let mut surrogates = self.players.surrogates.iter();
        surrogates.all(SurrogateLearner::is_resumable)
    }

    /// Goes on from where `state` was taken, in a run of the same configuration over the same cases.
    ///
    /// # Errors
    /// [`PerturbError::State`] or [`PerturbError::Weights`] if it is the state of another run.
    pub fn resumed(mut self, state: &TrainingState) -> Result<Self, PerturbError> {
        self.history = state.checked_history(self.config.common.rounds)?;
        let Players { surrogates, noise } = self.players;
        self.players = Players {
            surrogates: (surrogates.into_iter().enumerate())
                .map(|(index, one)| one.with_state(state.learner(&surrogate_role(index))?))
                .collect::<Result<_, _>>()?,
            noise: noise.with_state(state.learner(GENERATOR)?)?,
        };
        Ok(self)
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
        Alternation {
            config: &self.config.common,
            transforms: &self.config.transforms,
            channels: self.channels,
            classes: self.classes,
            device: &self.device,
            history: &mut self.history,
        }
        .run(&mut self.players, source, save, observer)?;
        let Players {
            mut surrogates,
            noise,
        } = self.players;
        Ok(Trained {
            generator: noise.into_generator().valid(),
            surrogate: surrogates.swap_remove(0).into_network().valid(),
            history: self.history,
        })
    }
}

impl Players {
    fn turn(&self, round: usize) -> usize {
        round % self.surrogates.len()
    }
}

impl Alternating for Players {
    fn surrogate_step(
        &mut self,
        round: usize,
        batch: Batch,
        view: &View,
    ) -> Result<Tensor<1>, PerturbError> {
        let turn = self.turn(round);
        let delta = self.noise.delta(&batch);
        self.surrogates[turn].step(&batch, delta, view)
    }

    fn noise_step(
        &mut self,
        round: usize,
        batch: Batch,
        view: &View,
    ) -> Result<Vec<Tensor<1>>, PerturbError> {
        let surrogate = self.surrogates[self.turn(round)].network();
        let loss = self.noise.step(&batch, surrogate, view)?;
        Ok(loss.total.into_iter().chain(loss.terms).collect())
    }

    fn terms(&self) -> Vec<String> {
        let terms = self.noise.terms().iter();
        terms.map(|term| term.name().to_owned()).collect()
    }

    fn learners(&self) -> Result<BTreeMap<String, LearnerState>, PerturbError> {
        let mut learners = BTreeMap::from([(GENERATOR.to_owned(), self.noise.state()?)]);
        for (index, surrogate) in self.surrogates.iter().enumerate() {
            learners.insert(surrogate_role(index), surrogate.state()?);
        }
        Ok(learners)
    }
}
