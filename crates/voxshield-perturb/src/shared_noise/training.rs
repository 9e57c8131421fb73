use std::sync::mpsc::IntoIter;

use burn::tensor::{Device, Int, Tensor, TensorData};
use voxshield_kernels::DiceCe;
use voxshield_models::{Architecture, TensorMap, input_leaf};

use super::{SharedNoise, SharedNoiseConfig};
use crate::{
    Batch, Budget, Event, PatchSource, PerturbError, RoundRecord, SurrogateLearner, View, ahead,
    bilevel::{STEPS_UNREAD, check_finite},
    running::RunningLosses,
    schedule::schedule,
};

/// The optimisation of a [`SharedNoise`]: rounds of S-steps, `min_theta DiceCE(F(x + delta), y)`, and one pass of N-steps over all
/// cases, `noise <- clamp(noise - step sign(d DiceCE / d noise), -epsilon, epsilon)`; the gradient of a place is the sum over all
/// voxels of the batch that have it.
pub struct SharedNoiseTraining {
    config: SharedNoiseConfig,
    device: Device,
    budget: Budget,
    classes: usize,
    noise: SharedNoise,
    surrogate: SurrogateLearner,
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
        config.precision.check(device)?;
        let common = config.common();
        let budget = Budget::new(config.epsilon)?;
        let classes = labels.len();
        let spec = common.surrogate_spec(channels, classes);
        let tracked = common.training_device(device);
        let surrogate = Architecture::find(&config.surrogate)?;
        let surrogate = config
            .precision
            .apply(surrogate.init(&spec, config.seed, &tracked)?);
        let [depth, height, width] = config.patch;
        surrogate.check_input(&[config.batch, channels, depth, height, width])?;
        Ok(Self {
            noise: SharedNoise::zeros(&config, channels, labels)?,
            surrogate: SurrogateLearner::new(surrogate, config.surrogate_rate, budget),
            device: device.clone(),
            budget,
            classes,
            config,
        })
    }

    /// Starts the surrogate from given weights.
    ///
    /// # Errors
    /// [`PerturbError::Weights`] if they are those of another network.
    pub fn with_surrogate_weights(mut self, weights: &TensorMap) -> Result<Self, PerturbError> {
        self.surrogate = self.surrogate.with_weights(weights)?;
        Ok(self)
    }

    /// The noise as it is before training, for [`SharedNoise::place`].
    pub fn noise(&self) -> &SharedNoise {
        &self.noise
    }

    /// Runs all rounds. The images of `source` have one channel more: each voxel's [`place`](SharedNoise::place), 0 where it has none.
    ///
    /// # Errors
    /// As [`Bilevel::run`](crate::Bilevel::run).
    pub fn run(
        mut self,
        source: &mut dyn PatchSource,
        observer: &mut dyn FnMut(&Event),
    ) -> Result<SharedNoise, PerturbError> {
        let cases = source.cases();
        if cases == 0 {
            return Err(PerturbError::NoCases);
        }
        let batches = {
            let (patch, device) = (self.config.patch, self.device.clone());
            let (channels, classes) = (self.noise.channels() + 1, self.classes);
            schedule(&self.config.common(), cases)
                .map(move |draws| Batch::read(source, &draws, patch, channels, classes, &device))
        };
        let values = ahead(batches, |batches| self.rounds(cases, batches, observer))?;
        self.device.memory_cleanup();
        self.noise.with_values(values)
    }

    fn rounds(
        &mut self,
        cases: usize,
        mut batches: IntoIter<Result<Batch, PerturbError>>,
        observer: &mut dyn FnMut(&Event),
    ) -> Result<Vec<f32>, PerturbError> {
        let (rounds, s_steps) = (self.config.rounds, self.config.surrogate_steps);
        let n_steps = cases.div_ceil(self.config.batch);
        let total = rounds * (s_steps + n_steps);
        let shape = [self.noise.channels(), self.noise.places()];
        let values = TensorData::new(self.noise.values().to_vec(), shape);
        let mut noise = Tensor::<2>::from_data(values, &self.device);
        let mut done = 0;
        for round in 0..rounds {
            observer(&Event::RoundStarted { round, rounds });
            let mut means = [0.0; 2];
            for (which, steps) in [s_steps, n_steps].into_iter().enumerate() {
                let name = ["surrogate", "noise"][which];
                let mut losses = RunningLosses::default();
                for (step, batch) in batches.by_ref().take(steps).enumerate() {
                    let batch = batch?;
                    let loss = match which {
                        0 => self.surrogate_step(&noise, batch, done)?,
                        _ => self.noise_step(&mut noise, batch, done)?,
                    };
                    losses.add(vec![loss]);
                    if (step + 1) % STEPS_UNREAD == 0 {
                        check_finite(round, name, &losses.means())?;
                    }
                    done += 1;
                    observer(&Event::Step { done, total });
                }
                let found = losses.means();
                check_finite(round, name, &found)?;
                means[which] = found.first().copied().unwrap_or_default();
            }
            observer(&Event::RoundFinished(RoundRecord {
                round,
                surrogate_loss: means[0],
                noise_loss: means[1],
                terms: vec![("dice_ce".into(), means[1])],
            }));
        }
        Ok(noise.into_data().iter::<f32>().collect())
    }

    fn surrogate_step(
        &mut self,
        noise: &Tensor<2>,
        batch: Batch,
        step: usize,
    ) -> Result<Tensor<1>, PerturbError> {
        let (batch, places) = self.split(batch);
        let view = self.view(&batch, step);
        let delta = spread(noise.clone(), places, &batch);
        let delta = self.budget.project(delta, &batch.support);
        self.surrogate.step(&batch, delta, &view)
    }

    fn noise_step(
        &self,
        noise: &mut Tensor<2>,
        batch: Batch,
        step: usize,
    ) -> Result<Tensor<1>, PerturbError> {
        let (batch, places) = self.split(batch);
        let view = self.view(&batch, step);
        let frozen = self.surrogate.network().frozen();
        let leaf = input_leaf(&*frozen, noise.clone());
        let delta = spread(leaf.clone(), places, &batch);
        let delta = self.budget.project(delta, &batch.support);
        let seen = view.image(self.budget.protect(batch.image, delta));
        let loss = DiceCe::default().forward(frozen.forward(seen), view.labels(batch.labels))?;
        if let Some(gradient) = leaf.grad(&loss.backward()) {
            let epsilon = self.config.epsilon;
            let step = gradient.sign() * (self.config.step_size * epsilon);
            *noise = (noise.clone() - step).clamp(-epsilon, epsilon);
        }
        Ok(loss.inner())
    }

    fn view(&self, batch: &Batch, step: usize) -> View {
        let size = batch.image.dims()[0];
        let seed = self.config.seed.wrapping_add(3);
        self.config.transforms.draw(size, seed, step as u64)
    }

    /// The batch as networks see it, and the places of its voxels, `[batch * depth * height * width]`.
    fn split(&self, batch: Batch) -> (Batch, Tensor<1, Int>) {
        let channels = self.noise.channels();
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
