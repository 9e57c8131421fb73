use std::{collections::BTreeMap, sync::mpsc::IntoIter};

use burn::tensor::{Device, Tensor};

use crate::checkpoint::LearnerState;
use crate::running::{RunningLosses, STEPS_UNREAD};
use crate::schedule::schedule;
use crate::{
    Batch, Event, PatchSource, PerturbError, RoundRecord, SaveState, SurrogateConfig,
    TrainingState, Transforms, View, ahead,
};

/// What is done in rounds of surrogate steps, each followed by one pass over all cases that changes the noise.
pub(crate) trait Alternating {
    /// One S-step on a batch that is seen through `view`; its loss, on the device.
    fn surrogate_step(
        &mut self,
        round: usize,
        batch: Batch,
        view: &View,
    ) -> Result<Tensor<1>, PerturbError>;

    /// One N-step; the whole loss and then those of the terms, on the device.
    fn noise_step(
        &mut self,
        round: usize,
        batch: Batch,
        view: &View,
    ) -> Result<Vec<Tensor<1>>, PerturbError>;

    /// The names of the terms.
    fn terms(&self) -> Vec<String>;

    /// All that later rounds depend on, by role.
    fn learners(&self) -> Result<BTreeMap<String, LearnerState>, PerturbError>;
}

/// The loop over the rounds of an [`Alternating`] method.
///
/// Batches are read and uploaded on a thread of their own while the device works, one ahead; the losses stay on the device, which is
/// waited for every few steps only.
pub(crate) struct Alternation<'a> {
    pub(crate) config: &'a SurrogateConfig,
    pub(crate) transforms: &'a Transforms,
    /// Of a batch's images.
    pub(crate) channels: usize,
    pub(crate) classes: usize,
    /// Without autodiff.
    pub(crate) device: &'a Device,
    /// Of the rounds that are done already; those that follow are added.
    pub(crate) history: &'a mut Vec<RoundRecord>,
}

impl Alternation<'_> {
    /// Runs the rounds that are left, with the state for `save` after each.
    pub(crate) fn run(
        mut self,
        method: &mut dyn Alternating,
        source: &mut dyn PatchSource,
        save: Option<SaveState<'_>>,
        observer: &mut dyn FnMut(&Event),
    ) -> Result<(), PerturbError> {
        let cases = source.cases();
        if cases == 0 {
            return Err(PerturbError::NoCases);
        }
        let batches = {
            let (patch, device) = (self.config.patch, self.device.clone());
            let (channels, classes) = (self.channels, self.classes);
            let done = self.history.len() * self.steps(cases).iter().sum::<usize>();
            schedule(self.config, cases)
                .skip(done)
                .map(move |draws| Batch::read(source, &draws, patch, channels, classes, &device))
        };
        ahead(batches, |batches| {
            self.rounds(method, cases, batches, save, observer)
        })?;
        // Whole volumes come next, of other sizes than the patches: their memory is free for them.
        self.device.memory_cleanup();
        Ok(())
    }

    /// S-steps and N-steps of a round.
    fn steps(&self, cases: usize) -> [usize; 2] {
        [
            self.config.surrogate_steps,
            cases.div_ceil(self.config.batch),
        ]
    }

    fn rounds(
        &mut self,
        method: &mut dyn Alternating,
        cases: usize,
        mut batches: IntoIter<Result<Batch, PerturbError>>,
        mut save: Option<SaveState<'_>>,
        observer: &mut dyn FnMut(&Event),
    ) -> Result<(), PerturbError> {
        let rounds = self.config.rounds;
        let steps = self.steps(cases);
        let a_round = steps.iter().sum::<usize>();
        let begun = self.history.len();
        let (mut done, total) = (begun * a_round, rounds * a_round);
        let seed = self.config.seed.wrapping_add(3);
        for round in begun..rounds {
            observer(&Event::RoundStarted { round, rounds });
            let mut means = [Vec::new(), Vec::new()];
            for (kind, &steps) in steps.iter().enumerate() {
                let which = ["surrogate", "noise"][kind];
                let mut losses = RunningLosses::default();
                for (step, batch) in batches.by_ref().take(steps).enumerate() {
                    let batch = batch?;
                    let size = batch.image.dims()[0];
                    let view = self.transforms.draw(size, seed, done as u64);
                    losses.add(match kind {
                        0 => vec![method.surrogate_step(round, batch, &view)?],
                        _ => method.noise_step(round, batch, &view)?,
                    });
                    if (step + 1) % STEPS_UNREAD == 0 {
                        losses.finite(round, which)?;
                    }
                    done += 1;
                    observer(&Event::Step { done, total });
                }
                means[kind] = losses.finite(round, which)?;
            }
            let [surrogate, noise] = means;
            let record = RoundRecord {
                round,
                surrogate_loss: surrogate.first().copied().unwrap_or_default(),
                noise_loss: noise.first().copied().unwrap_or_default(),
                terms: (method.terms().into_iter())
                    .zip(noise.into_iter().skip(1))
                    .collect(),
            };
            observer(&Event::RoundFinished(record.clone()));
            self.history.push(record);
            if let Some(save) = &mut save {
                save(&|| {
                    Ok(TrainingState {
                        round: self.history.len(),
                        history: self.history.clone(),
                        learners: method.learners()?,
                        descent: None,
                    })
                })?;
            }
        }
        Ok(())
    }
}
