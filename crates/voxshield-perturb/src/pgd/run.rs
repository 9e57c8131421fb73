use burn::tensor::Device;
use voxshield_models::{Network, TensorMap};

use super::expectation::Draws;
use super::orders::orders;
use super::reader::Reader;
use super::rounds::Rounds;
use super::{Criterion, PgdConfig, Schedule, SignDescent};
use crate::checkpoint::{DescentState, state, surrogate_role, target_role};
use crate::{
    Budget, DeltaCode, DeltaStore, Event, PerturbError, RoundRecord, SaveState, SurrogateLearner,
    TrainingState, VolumeSource, ahead,
};

/// The loop of every sample-wise method: surrogate steps on random patches, and visits, in which each window of a case takes a few
/// steps of [`SignDescent`] on its part of the case's perturbation.
///
/// Perturbations of whole native volumes are in a [`DeltaStore`], so that memory holds the case in hand and no more. At each visit
/// the windows cover the support of the case anew, at other places of the network's grid, which is counted from the middle of the
/// volume; where they overlap, each voxel is the part of one. So volumes may have any size.
///
/// Batches are read and uploaded on a thread of their own while the device works.
#[derive(Debug)]
pub struct Pgd {
    config: PgdConfig,
    device: Device,
    channels: usize,
    classes: usize,
    surrogate: SurrogateLearner,
    criterion: Box<dyn Criterion>,
    /// What was done before.
    history: Vec<RoundRecord>,
    targets: Vec<Box<dyn Network>>,
    progress: DescentState,
}

/// What the loop leaves behind, beside the perturbations.
#[derive(Debug)]
pub struct Perturbed {
    /// The last surrogate, on the inner device.
    pub surrogate: Box<dyn Network>,
    /// One record a round.
    pub history: Vec<RoundRecord>,
    /// Cases whose support is empty: their perturbation is 0.
    pub untouched: Vec<usize>,
}

impl Pgd {
    /// A loop that is ready to run on `device` (without autodiff), for images of `channels` and `classes`, background included.
    ///
    /// # Errors
    /// [`PerturbError::Config`] if a setting is out of range or a recipe with noise on the weights has a surrogate with batch
    /// normalisation or dropout, [`PerturbError::Model`] if the surrogate cannot be built or the device does not have the precision.
    pub fn new(
        config: PgdConfig,
        channels: usize,
        classes: usize,
        device: &Device,
    ) -> Result<Self, PerturbError> {
        config.validate()?;
        let surrogate = config.common.learner(channels, classes, device)?;
        let expectation = &config.recipe.expectation;
        expectation.check_surrogate(&config.common.surrogate, surrogate.network())?;
        Ok(Self::of(config, surrogate, device))
    }

    /// As [`Pgd::new`], against a network of your own in place of the one that the configuration names. It is created on
    /// [`SurrogateConfig::training_device`](crate::SurrogateConfig::training_device); device, channels and classes are its own.
    ///
    /// # Errors
    /// As [`Pgd::new`], and those of [`SurrogateConfig::learner_for`](crate::SurrogateConfig::learner_for).
    pub fn for_surrogate(
        config: PgdConfig,
        surrogate: Box<dyn Network>,
    ) -> Result<Self, PerturbError> {
        config.validate()?;
        let expectation = &config.recipe.expectation;
        expectation.check_surrogate("another", &*surrogate)?;
        let device = surrogate.device().without_autodiff();
        let surrogate = config.common.learner_for(surrogate)?;
        Ok(Self::of(config, surrogate, &device))
    }

    fn of(config: PgdConfig, surrogate: SurrogateLearner, device: &Device) -> Self {
        let network = surrogate.network();
        let (channels, classes) = (network.in_channels(), network.classes());
        Self {
            device: device.clone(),
            channels,
            classes,
            surrogate,
            criterion: config.recipe.objective.criterion(classes),
            config,
            history: Vec::new(),
            targets: Vec::new(),
            progress: DescentState::default(),
        }
    }

    /// Minimises a criterion of your own.
    #[must_use]
    pub fn with_criterion(mut self, criterion: Box<dyn Criterion>) -> Self {
        self.criterion = criterion;
        self
    }

    /// Starts the surrogate from given weights.
    ///
    /// # Errors
    /// [`PerturbError::Weights`] if they are those of another network.
    pub fn with_surrogate_weights(mut self, weights: &TensorMap) -> Result<Self, PerturbError> {
        self.surrogate = self.surrogate.with_weights(weights)?;
        Ok(self)
    }

    /// Whether a run can go on from its states: the surrogate draws nothing in training that they do not have.
    pub fn is_resumable(&self) -> bool {
        self.surrogate.is_resumable()
    }

    /// The loop as it was when the state was taken; the store that it runs on must be as it was then too, see
    /// [`TrainingState::snapshot`]. What a criterion learns in its survey is found again.
    ///
    /// # Errors
    /// [`PerturbError::State`] or [`PerturbError::Weights`] for the state of another run.
    pub fn resumed(mut self, from: &TrainingState) -> Result<Self, PerturbError> {
        let (common, schedule) = (&self.config.common, self.config.recipe.schedule);
        self.history = from.checked_history(common.rounds)?;
        let descent = from.descent.clone();
        self.progress = descent.ok_or_else(|| state("it is that of another method"))?;
        let (trained, visited) = (self.progress.trained, self.history.len());
        let fits = match schedule {
            Schedule::Alternating => trained == visited,
            Schedule::Pretrained { .. } => {
                let rounds = schedule.training_rounds(common.rounds);
                trained == rounds || visited == 0 && trained < rounds
            }
        };
        if !fits {
            return Err(state(format!(
                "{trained} rounds of surrogate steps and {visited} of visits"
            )));
        }
        self.targets.clear();
        let checkpoints = (0..trained).filter(|&round| schedule.is_checkpoint(round));
        for index in 0..checkpoints.count() {
            let weights = &from.learner(&target_role(index))?.weights;
            let target = self.surrogate.network().frozen();
            self.targets.push(target.with_weights(weights)?.frozen());
        }
        self.surrogate = self
            .surrogate
            .with_state(from.learner(&surrogate_role(0))?)?;
        Ok(self)
    }

    /// Runs all rounds. The perturbations are in `store` then, which is best empty before.
    ///
    /// A [`RoundRecord`] has the criterion's mean before the first step of the round's visits as `noise_loss`, and that before the last
    /// step as a term.
    ///
    /// # Errors
    /// [`PerturbError::NoCases`], whatever source, store or criterion report, and [`PerturbError::Diverged`] if a loss is no longer
    /// finite.
    pub fn run(
        self,
        source: &mut dyn VolumeSource,
        store: &mut dyn DeltaStore,
        observer: &mut dyn FnMut(&Event),
    ) -> Result<Perturbed, PerturbError> {
        self.run_with(source, store, None, observer)
    }

    /// As [`Pgd::run`], with the state for `save` after every round, and after every round of a surrogate that is trained before.
    ///
    /// # Errors
    /// As [`Pgd::run`], and what `save` reports.
    pub fn run_with(
        self,
        source: &mut dyn VolumeSource,
        store: &mut dyn DeltaStore,
        save: Option<SaveState<'_>>,
        observer: &mut dyn FnMut(&Event),
    ) -> Result<Perturbed, PerturbError> {
        let cases = source.cases();
        if cases == 0 {
            return Err(PerturbError::NoCases);
        }
        let survey = self.criterion.needs_survey();
        let reader = Reader::new(
            source,
            orders(&self.config, cases, survey, self.begun()),
            &self.config.common,
            self.surrogate.network().size_multiple(),
            [self.channels, self.classes],
            &self.device,
        );
        let (config, device) = (self.config, self.device);
        let budget = Budget::new(config.common.epsilon)?;
        let mut draws = Draws::new(budget, config.common.seed.wrapping_add(3));
        draws.skip_to(self.progress.drawn);
        let (steps, visits) = (config.common.surrogate_steps, config.common.rounds);
        let rounds = Rounds {
            cases,
            total: config.recipe.schedule.training_rounds(visits) * steps + visits * cases,
            done: self.progress.trained * steps + self.history.len() * cases,
            descent: SignDescent {
                budget,
                step_size: config.recipe.step_size * config.common.epsilon,
                steps: config.recipe.steps,
            },
            code: DeltaCode::new(budget),
            draws,
            surrogate: self.surrogate,
            criterion: self.criterion,
            targets: self.targets,
            history: self.history,
            progress: self.progress,
            device: device.clone(),
            config,
            deltas: store,
            observer,
        };
        let perturbed = ahead(reader, |jobs| rounds.run(jobs, save))?;
        // Whole volumes come next, of other sizes than the windows.
        device.memory_cleanup();
        Ok(perturbed)
    }

    /// The parts that are done, as [`orders`] counts them.
    fn begun(&self) -> usize {
        match self.config.recipe.schedule {
            Schedule::Alternating => self.history.len(),
            Schedule::Pretrained { .. } => self.progress.trained + self.history.len(),
        }
    }
}
