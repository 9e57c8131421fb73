use std::{collections::BTreeMap, sync::mpsc::IntoIter};

use burn::tensor::{Device, Tensor, TensorData};
use voxshield_models::Network;

use super::cover::Place;
use super::expectation::Draws;
use super::reader::{Job, Windows};
use super::sparsity::{Magnitudes, magnitude};
use super::{Criterion, Estimate, Perturbed, PgdConfig, Schedule, SignDescent, Sparsity};
use crate::checkpoint::{DescentState, LearnerState, surrogate_role, target_role};
use crate::running::{RunningLosses, STEPS_UNREAD};
use crate::{
    Batch, DeltaCode, DeltaStore, Event, PerturbError, RoundRecord, SaveState, SurrogateLearner,
    TrainingState,
};

type Jobs = IntoIter<Result<Job, PerturbError>>;

/// What [`Pgd`](super::Pgd) does.
pub(super) struct Rounds<'a> {
    pub(super) config: PgdConfig,
    pub(super) cases: usize,
    pub(super) total: usize,
    pub(super) done: usize,
    pub(super) descent: SignDescent,
    pub(super) code: DeltaCode,
    /// Of everything that is drawn while the device works; the reader draws orders and places.
    pub(super) draws: Draws,
    pub(super) surrogate: SurrogateLearner,
    pub(super) criterion: Box<dyn Criterion>,
    pub(super) targets: Vec<Box<dyn Network>>,
    pub(super) history: Vec<RoundRecord>,
    /// Draws and store are asked when it is saved.
    pub(super) progress: DescentState,
    pub(super) device: Device,
    pub(super) deltas: &'a mut dyn DeltaStore,
    pub(super) observer: &'a mut dyn FnMut(&Event),
}

impl Rounds<'_> {
    pub(super) fn run(
        mut self,
        mut jobs: Jobs,
        mut save: Option<SaveState<'_>>,
    ) -> Result<Perturbed, PerturbError> {
        let rounds = self.config.common.rounds;
        let (schedule, begun) = (self.config.recipe.schedule, self.history.len());
        if schedule != Schedule::Alternating {
            for round in self.progress.trained..schedule.training_rounds(rounds) {
                self.train(round, &mut jobs)?;
                if schedule.is_checkpoint(round) {
                    self.targets.push(self.surrogate.network().frozen());
                }
                self.offer(&mut save)?;
            }
            if self.criterion.needs_survey() && begun < rounds {
                self.survey(&mut jobs)?;
            }
        }
        for round in begun..rounds {
            (self.observer)(&Event::RoundStarted { round, rounds });
            if schedule == Schedule::Alternating {
                self.train(round, &mut jobs)?;
                self.targets = vec![self.surrogate.network().frozen()];
            }
            let [before, after] = self.visits(round, &mut jobs)?;
            let record = RoundRecord {
                round,
                surrogate_loss: self.progress.surrogate_loss,
                noise_loss: before,
                terms: vec![(self.criterion.name().to_owned(), after)],
            };
            (self.observer)(&Event::RoundFinished(record.clone()));
            self.history.push(record);
            self.offer(&mut save)?;
        }
        Ok(Perturbed {
            surrogate: self.surrogate.into_network().valid(),
            history: self.history,
            untouched: self.progress.untouched.into_iter().collect(),
        })
    }

    fn offer(&self, save: &mut Option<SaveState<'_>>) -> Result<(), PerturbError> {
        match save {
            Some(save) => save(&|| self.state()),
            None => Ok(()),
        }
    }

    fn state(&self) -> Result<TrainingState, PerturbError> {
        let mut learners = BTreeMap::from([(surrogate_role(0), self.surrogate.state()?)]);
        if self.config.recipe.schedule != Schedule::Alternating {
            for (index, target) in self.targets.iter().enumerate() {
                let weights = target.weights()?;
                let target = LearnerState {
                    weights,
                    ..LearnerState::default()
                };
                learners.insert(target_role(index), target);
            }
        }
        let snapshot = self.deltas.snapshot();
        Ok(TrainingState {
            round: self.history.len(),
            history: self.history.clone(),
            learners,
            descent: Some(DescentState {
                drawn: self.draws.drawn(),
                snapshot: snapshot.map_err(|source| PerturbError::Checkpoint { source })?,
                ..self.progress.clone()
            }),
        })
    }

    /// The surrogate steps of a round.
    fn train(&mut self, round: usize, jobs: &mut Jobs) -> Result<(), PerturbError> {
        let mut losses = RunningLosses::default();
        for step in 0..self.config.common.surrogate_steps {
            let Some(Job::Windows(windows)) = jobs.next().transpose()? else {
                break;
            };
            let delta = self.stored(&windows)?;
            let budget = self.descent.budget;
            let delta = budget.project(delta, &windows.batch.support);
            losses.add(vec![self.config.recipe.expectation.surrogate_step(
                &mut self.surrogate,
                &*self.criterion,
                &windows.batch,
                delta,
                &mut self.draws,
            )?]);
            if (step + 1) % STEPS_UNREAD == 0 {
                losses.finite(round, "surrogate")?;
            }
            self.tick();
        }
        let means = losses.finite(round, "surrogate")?;
        self.progress.surrogate_loss = means.first().copied().unwrap_or_default();
        self.progress.trained = round + 1;
        Ok(())
    }

    /// Shows all cases to the criterion, through all targets.
    fn survey(&mut self, jobs: &mut Jobs) -> Result<(), PerturbError> {
        for _ in 0..self.cases {
            self.sweep(jobs, &mut |this, windows| {
                for (member, target) in this.targets.iter().enumerate() {
                    this.criterion.survey(member, &**target, &windows.batch);
                }
                Ok(())
            })?;
        }
        Ok(())
    }

    /// A visit to every case; the criterion before the first and before the last step, on average.
    fn visits(&mut self, round: usize, jobs: &mut Jobs) -> Result<[f32; 2], PerturbError> {
        let mut losses = RunningLosses::default();
        let sparsity = self.config.recipe.sparsity;
        let choosing = sparsity.filter(|sparsity| round < sparsity.rounds);
        for _ in 0..self.cases {
            let threshold = match choosing {
                Some(sparsity) => Some(self.threshold(sparsity, jobs)?),
                None => None,
            };
            self.sweep(jobs, &mut |this, windows| {
                losses.add(this.visit(windows, threshold)?);
                losses.finite(round, "noise")?;
                Ok(())
            })?;
            self.tick();
        }
        let means = losses.finite(round, "noise")?;
        let [before, after] = [means.first(), means.last()];
        Ok([before, after].map(|mean| mean.copied().unwrap_or_default()))
    }

    /// The gradient that the largest share of a case's support reaches, where nothing is perturbed yet.
    fn threshold(&mut self, sparsity: Sparsity, jobs: &mut Jobs) -> Result<f32, PerturbError> {
        let mut magnitudes = Magnitudes::new();
        self.sweep(jobs, &mut |this, windows| {
            let batch = &windows.batch;
            let gradient = this.estimate(batch, batch.image.clone())?.gradient;
            let found: Vec<f32> = magnitude(gradient).into_data().iter().collect();
            let support: Vec<f32> = batch.support.clone().into_data().iter().collect();
            let each = windows.each(found.len());
            let values = found.chunks(each).zip(support.chunks(each));
            for (place, (found, support)) in windows.places.iter().zip(values) {
                for (found, share) in place.cut(found).into_iter().zip(place.cut(support)) {
                    if share > 0.0 {
                        magnitudes.add(found);
                    }
                }
            }
            Ok(())
        })?;
        Ok(magnitudes.threshold(sparsity.share))
    }

    /// Steps on the windows' part of a case's perturbation; the criterion before the first and before the last.
    fn visit(
        &mut self,
        windows: &Windows,
        threshold: Option<f32>,
    ) -> Result<Vec<Tensor<1>>, PerturbError> {
        let batch = &windows.batch;
        let (delta, free) = match threshold {
            Some(threshold) => {
                let gradient = self.estimate(batch, batch.image.clone())?.gradient;
                let free = magnitude(gradient).greater_equal_elem(threshold).float();
                (batch.image.zeros_like(), Some(free))
            }
            None => (self.stored(windows)?, self.chosen(windows)?),
        };
        let descent = self.descent.clone();
        let (delta, values) = descent.run(batch, delta, free.clone(), &mut |protected| {
            self.estimate(batch, protected)
        })?;
        self.store(windows, delta, free)?;
        let ends = values.first().into_iter().chain(values.last());
        Ok(ends.cloned().collect())
    }

    fn estimate(&mut self, batch: &Batch, protected: Tensor<5>) -> Result<Estimate, PerturbError> {
        self.config.recipe.expectation.estimate(
            &*self.criterion,
            &self.targets,
            protected,
            &batch.labels,
            &mut self.draws,
        )
    }

    /// The perturbation of these windows so far, `[batch, channel, depth, height, width]`, before the support.
    fn stored(&self, windows: &Windows) -> Result<Tensor<5>, PerturbError> {
        let code = self.code;
        self.decoded(windows, |byte| code.decode(byte))
    }

    /// The voxels of these windows that may move, `[batch, 1, depth, height, width]` of 0 and 1; `None` for all of them.
    fn chosen(&self, windows: &Windows) -> Result<Option<Tensor<5>>, PerturbError> {
        match self.config.recipe.sparsity {
            None => Ok(None),
            Some(_) => {
                let chosen = self.decoded(windows, |byte| f32::from(u8::from(byte != 0)))?;
                Ok(Some(chosen.max_dim(1)))
            }
        }
    }

    fn decoded(
        &self,
        windows: &Windows,
        decode: impl Fn(i8) -> f32,
    ) -> Result<Tensor<5>, PerturbError> {
        let dims = windows.batch.image.dims();
        let mut values = Vec::with_capacity(dims.iter().product());
        for &Place { case, window, .. } in &windows.places {
            let codes = self.deltas.read(case, window);
            let codes = codes.map_err(|source| PerturbError::Source { case, source })?;
            values.extend(codes.into_iter().map(&decode));
        }
        Ok(Tensor::from_data(
            TensorData::new(values, dims),
            &self.device,
        ))
    }

    /// Stores what each window has for its own. A voxel that was chosen stays so, be its perturbation 0 for now.
    fn store(
        &mut self,
        windows: &Windows,
        delta: Tensor<5>,
        free: Option<Tensor<5>>,
    ) -> Result<(), PerturbError> {
        let codes = delta.into_data();
        let codes = codes.iter::<f32>().map(|delta| self.code.encode(delta));
        let mut codes: Vec<i8> = codes.collect();
        let each = windows.each(codes.len());
        if let Some(free) = free {
            let free: Vec<f32> = free.into_data().iter().collect();
            let voxels = windows.each(free.len());
            for (codes, free) in codes.chunks_mut(each).zip(free.chunks(voxels)) {
                for (code, free) in codes.iter_mut().zip(free.iter().cycle()) {
                    if *code == 0 && *free > 0.0 {
                        *code = DeltaCode::CHOSEN;
                    }
                }
            }
        }
        for (place, codes) in windows.places.iter().zip(codes.chunks(each)) {
            let case = place.case;
            let written = self.deltas.write(case, place.part(), &place.cut(codes));
            written.map_err(|source| PerturbError::Source { case, source })?;
        }
        Ok(())
    }

    /// Goes through the windows of the next case that is swept.
    fn sweep(
        &mut self,
        jobs: &mut Jobs,
        each: &mut dyn FnMut(&mut Self, &Windows) -> Result<(), PerturbError>,
    ) -> Result<(), PerturbError> {
        while let Some(job) = jobs.next().transpose()? {
            match job {
                Job::Windows(windows) => each(self, &windows)?,
                Job::Swept { case, windows } => {
                    if windows == 0 {
                        self.progress.untouched.insert(case);
                    }
                    break;
                }
            }
        }
        Ok(())
    }

    fn tick(&mut self) {
        self.done += 1;
        let (done, total) = (self.done, self.total);
        (self.observer)(&Event::Step { done, total });
    }
}
