use std::collections::BTreeMap;

use burn::tensor::{Device, Int, Tensor};
use voxshield_kernels::DiceCe;
use voxshield_models::{Network, TensorMap, input_leaf};

use super::{SharedNoise, SharedNoiseConfig};
use crate::alternation::{Alternating, Alternation};
use crate::checkpoint::{LearnerState, state, surrogate_role};
use crate::{
    Batch, Budget, Event, PatchSource, PerturbError, RoundRecord, SaveState, SurrogateLearner,
    TrainingState, View,
};

/// The noise's role in a [`TrainingState`], and its name there.
const NOISE: &str = "noise";

/// The optimisation of a [`SharedNoise`]: rounds of S-steps, `min_theta DiceCE(F(x + delta), y)`, and one pass of N-steps over all
/// cases, `noise <- clamp(noise - step sign(d DiceCE / d noise), -epsilon, epsilon)`; the gradient of a place is the sum over all
/// voxels of the batch that have it.
#[derive(Debug)]
pub struct SharedNoiseTraining {
    config: SharedNoiseConfig,
    device: Device,
    classes: usize,
    tiles: SharedNoise,
    players: Players,
    history: Vec<RoundRecord>,
}

/// What the loop trains.
#[derive(Debug)]
struct Players {
    surrogate: SurrogateLearner,
    /// `[channel, place]`, without gradients.
    noise: Tensor<2>,
    budget: Budget,
    /// How far a place moves in a step, in normalised units.
    step_size: f64,
}

impl SharedNoiseTraining {
    /// Ready to run on `device` (without autodiff), for images of `channels` and a dataset with these label values, 0 included, in
    /// order.
    ///
    /// # Errors
    /// [`PerturbError::Config`] if a setting is out of range, [`PerturbError::Model`] if the surrogate cannot be built.
    pub fn new(
        config: SharedNoiseConfig,
        channels: usize,
        labels: &[u16],
        device: &Device,
    ) -> Result<Self, PerturbError> {
        config.validate()?;
        let surrogate = config.common.learner(channels, labels.len(), device)?;
        Self::of(config, surrogate, labels, device)
    }

    /// As [`SharedNoiseTraining::new`], against a network of your own in place of the one that the configuration names. It is created
    /// on [`SurrogateConfig::training_device`](crate::SurrogateConfig::training_device); device and channels are its own.
    ///
    /// # Errors
    /// As [`SharedNoiseTraining::new`], and those of [`SurrogateConfig::learner_for`](crate::SurrogateConfig::learner_for);
    /// [`PerturbError::Config`] if it has not as many classes as there are labels.
    pub fn for_surrogate(
        config: SharedNoiseConfig,
        surrogate: Box<dyn Network>,
        labels: &[u16],
    ) -> Result<Self, PerturbError> {
        config.validate()?;
        let classes = surrogate.classes();
        if classes != labels.len() {
            return Err(PerturbError::Config {
                what: "classes of the surrogate",
                expected: format!("one for each of the {} labels", labels.len()),
                found: classes.to_string(),
            });
        }
        let device = surrogate.device().without_autodiff();
        let surrogate = config.common.learner_for(surrogate)?;
        Self::of(config, surrogate, labels, &device)
    }

    fn of(
        config: SharedNoiseConfig,
        surrogate: SurrogateLearner,
        labels: &[u16],
        device: &Device,
    ) -> Result<Self, PerturbError> {
        let channels = surrogate.network().in_channels();
        let tiles = SharedNoise::zeros(&config, channels, labels)?;
        Ok(Self {
            players: Players {
                surrogate,
                noise: Tensor::zeros([channels, tiles.places()], device),
                budget: Budget::new(config.common.epsilon)?,
                step_size: config.step_size * config.common.epsilon,
            },
            device: device.clone(),
            classes: labels.len(),
            tiles,
            history: Vec::new(),
            config,
        })
    }

    /// Starts the surrogate from given weights.
    ///
    /// # Errors
    /// [`PerturbError::Weights`] if they are those of another network.
    pub fn with_surrogate_weights(mut self, weights: &TensorMap) -> Result<Self, PerturbError> {
        self.players.surrogate = self.players.surrogate.with_weights(weights)?;
        Ok(self)
    }

    /// As [`Bilevel::is_resumable`](crate::Bilevel::is_resumable).
    pub fn is_resumable(&self) -> bool {
        self.players.surrogate.is_resumable()
    }

    /// Goes on from where `state` was taken, in a run of the same configuration over the same cases.
    ///
    /// # Errors
    /// [`PerturbError::State`] or [`PerturbError::Weights`] if it is the state of another run.
    pub fn resumed(mut self, from: &TrainingState) -> Result<Self, PerturbError> {
        self.history = from.checked_history(self.config.common.rounds)?;
        let surrogate = from.learner(&surrogate_role(0))?;
        self.players.surrogate = self.players.surrogate.with_state(surrogate)?;
        let noise = from.learner(NOISE)?.weights.get(NOISE);
        let shape = self.players.noise.dims();
        let noise = noise.filter(|noise| noise.shape().as_slice() == shape);
        let noise = noise.ok_or_else(|| state(format!("it has no noise of {shape:?}")))?;
        self.players.noise = Tensor::from_data(noise.clone(), &self.device);
        Ok(self)
    }

    /// The noise as it is before training, for [`SharedNoise::place`].
    pub fn noise(&self) -> &SharedNoise {
        &self.tiles
    }

    /// Runs all rounds. The images of `source` have one channel more: each voxel's [`place`](SharedNoise::place), 0 where it has none.
    ///
    /// # Errors
    /// As [`Bilevel::run`](crate::Bilevel::run).
    pub fn run(
        self,
        source: &mut dyn PatchSource,
        observer: &mut dyn FnMut(&Event),
    ) -> Result<SharedNoise, PerturbError> {
        self.run_with(source, None, observer)
    }

    /// As [`SharedNoiseTraining::run`], with the state for `save` after every round.
    ///
    /// # Errors
    /// As [`SharedNoiseTraining::run`], and what `save` reports.
    pub fn run_with(
        mut self,
        source: &mut dyn PatchSource,
        save: Option<SaveState<'_>>,
        observer: &mut dyn FnMut(&Event),
    ) -> Result<SharedNoise, PerturbError> {
        Alternation {
            config: &self.config.common,
            transforms: &self.config.transforms,
            // The places travel as one more.
            channels: self.tiles.channels() + 1,
            classes: self.classes,
            device: &self.device,
            history: &mut self.history,
        }
        .run(&mut self.players, source, save, observer)?;
        let values = self.players.noise.into_data();
        self.tiles.with_values(values.iter::<f32>().collect())
    }
}

impl Alternating for Players {
    fn surrogate_step(
        &mut self,
        _round: usize,
        batch: Batch,
        view: &View,
    ) -> Result<Tensor<1>, PerturbError> {
        let (batch, places) = self.split(batch);
        let delta = spread(self.noise.clone(), places, &batch);
        let delta = self.budget.project(delta, &batch.support);
        self.surrogate.step(&batch, delta, view)
    }

    fn noise_step(
        &mut self,
        _round: usize,
        batch: Batch,
        view: &View,
    ) -> Result<Vec<Tensor<1>>, PerturbError> {
        let (batch, places) = self.split(batch);
        let frozen = self.surrogate.network().frozen();
        let leaf = input_leaf(&*frozen, self.noise.clone());
        let delta = spread(leaf.clone(), places, &batch);
        let delta = self.budget.project(delta, &batch.support);
        let seen = view.image(self.budget.protect(batch.image, delta));
        let loss = DiceCe::default().forward(frozen.forward(seen), view.labels(batch.labels))?;
        if let Some(gradient) = leaf.grad(&loss.backward()) {
            let epsilon = self.budget.epsilon();
            let noise = self.noise.clone() - gradient.sign() * self.step_size;
            self.noise = noise.clamp(-epsilon, epsilon);
        }
        let loss = loss.inner();
        Ok(vec![loss.clone(), loss])
    }

    fn terms(&self) -> Vec<String> {
        vec!["dice_ce".into()]
    }

    fn learners(&self) -> Result<BTreeMap<String, LearnerState>, PerturbError> {
        let noise = LearnerState {
            weights: TensorMap::from([(NOISE.to_owned(), self.noise.to_data())]),
            ..LearnerState::default()
        };
        Ok(BTreeMap::from([
            (NOISE.to_owned(), noise),
            (surrogate_role(0), self.surrogate.state()?),
        ]))
    }
}

impl Players {
    /// The batch as networks see it, and the places of its voxels, `[batch * depth * height * width]`.
    fn split(&self, batch: Batch) -> (Batch, Tensor<1, Int>) {
        let [channels, _] = self.noise.dims();
        let places = batch.image.clone().narrow(1, channels, 1);
        let count = places.shape().num_elements();
        let places = places.reshape([count]).int();
        let image = batch.image.narrow(1, 0, channels);
        (Batch { image, ..batch }, places)
    }
}

/// The noise at the places of a batch, shaped like its image.
fn spread(noise: Tensor<2>, places: Tensor<1, Int>, batch: &Batch) -> Tensor<5> {
    let [size, channels, depth, height, width] = batch.image.dims();
    noise
        .select(1, places)
        .reshape([channels, size, depth, height, width])
        .swap_dims(0, 1)
}
