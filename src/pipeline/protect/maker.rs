use std::path::Path;

use burn::tensor::Device;

use super::{
    deltas::FileDeltas,
    origin::{Origin, Stored},
    state::TrainingFile,
};
use crate::{
    models::{TensorMap, read_weights},
    perturb::{
        Bilevel, BilevelConfig, Budget, DeltaCode, Generator, PerturbError, Pgd, PgdConfig,
        SharedNoise, SharedNoiseConfig, SharedNoiseTraining, SourceError, TrainingState,
        TrainingVolume,
    },
    pipeline::{
        CachedSource, Method, PipelineError, PreparedCase, ProtectEvent, ProtectOptions, Scanned,
    },
};

/// Makes the [`Origin`] of a method for the cases of a dataset, which for most methods is an optimisation.
pub(in crate::pipeline) struct OriginMaker<'a> {
    pub(in crate::pipeline) scanned: &'a Scanned,
    pub(in crate::pipeline) options: &'a ProtectOptions,
    pub(in crate::pipeline) device: &'a Device,
    /// A folder for what is too large for the memory.
    pub(in crate::pipeline) scratch: &'a Path,
    /// Where the state of an optimisation is kept, to go on from when the run is interrupted.
    pub(in crate::pipeline) state: Option<TrainingFile>,
}

impl OriginMaker<'_> {
    /// That of `method`.
    pub(in crate::pipeline) fn origin(
        self,
        method: &Method,
        observer: &mut dyn FnMut(ProtectEvent<'_>),
    ) -> Result<Origin, PipelineError> {
        Ok(match method {
            Method::Random { noise, seed, .. } => Origin::Drawn {
                noise: *noise,
                seed: *seed,
            },
            Method::ClosedForm { code, seed, .. } => Origin::Coded {
                code: *code,
                seed: *seed,
            },
            Method::SavedGenerator(saved) => saved.load(self.scanned.channels, self.device)?,
            Method::Bilevel(config) => Origin::Learned(Box::new(self.train(config, observer)?)),
            Method::SharedNoise(config) => Origin::Shared(self.share(config, observer)?),
            Method::SampleWise(config) => Origin::Stored(Box::new(self.descend(config, observer)?)),
        })
    }

    /// Trains a generator.
    fn train(
        mut self,
        config: &BilevelConfig,
        observer: &mut dyn FnMut(ProtectEvent<'_>),
    ) -> Result<Generator, PipelineError> {
        let weights = self.surrogate_weights()?;
        let new = || -> Result<Bilevel, PipelineError> {
            let (channels, classes) = (self.scanned.channels, self.scanned.classes.len());
            let bilevel = Bilevel::new(config.clone(), channels, classes, self.device)?;
            match &weights {
                None => Ok(bilevel),
                Some(weights) => Ok(bilevel.with_surrogate_weights(weights)?),
            }
        };
        let (bilevel, state) = resumed(
            self.state.take(),
            new,
            Bilevel::is_resumable,
            Bilevel::resumed,
        )?;
        let mut source = self.volumes();
        let trained = bilevel.run_with(&mut source, Some(&mut saving(state)), &mut |event| {
            observer(ProtectEvent::Train(event));
        })?;
        Ok(trained.generator)
    }

    /// Finds the tiles that all cases share.
    fn share(
        mut self,
        config: &SharedNoiseConfig,
        observer: &mut dyn FnMut(ProtectEvent<'_>),
    ) -> Result<SharedNoise, PipelineError> {
        let weights = self.surrogate_weights()?;
        let classes = &self.scanned.classes;
        let new = || -> Result<SharedNoiseTraining, PipelineError> {
            let channels = self.scanned.channels;
            let training =
                SharedNoiseTraining::new(config.clone(), channels, classes, self.device)?;
            match &weights {
                None => Ok(training),
                Some(weights) => Ok(training.with_surrogate_weights(weights)?),
            }
        };
        let (training, state) = resumed(
            self.state.take(),
            new,
            SharedNoiseTraining::is_resumable,
            SharedNoiseTraining::resumed,
        )?;
        let tiles = training.noise().clone();
        let mut source = CachedSource::new(self.scanned.cases.len(), |index| {
            let mut volume = self.volume(index)?;
            let labels: Vec<u16> = (volume.labels.iter())
                .map(|&class| classes.get(class as usize).copied().unwrap_or(0))
                .collect();
            let places = tiles.place(&labels, volume.shape)?;
            volume
                .image
                .extend(places.iter().map(|place| place.unwrap_or(0) as f32));
            volume.channels += 1;
            Ok(volume)
        });
        let noise = training.run_with(&mut source, Some(&mut saving(state)), &mut |event| {
            observer(ProtectEvent::Train(event));
        })?;
        Ok(noise)
    }

    /// Finds the perturbation of every case; they are kept in a folder of the scratch.
    fn descend(
        mut self,
        config: &PgdConfig,
        observer: &mut dyn FnMut(ProtectEvent<'_>),
    ) -> Result<Stored, PipelineError> {
        let (scanned, scratch) = (self.scanned, self.scratch);
        let weights = self.surrogate_weights()?;
        let new = || -> Result<(Pgd, Option<FileDeltas>), PipelineError> {
            let (channels, classes) = (scanned.channels, scanned.classes.len());
            let pgd = Pgd::new(config.clone(), channels, classes, self.device)?;
            let pgd = match &weights {
                None => pgd,
                Some(weights) => pgd.with_surrogate_weights(weights)?,
            };
            Ok((pgd, None))
        };
        let ((pgd, deltas), state) = resumed(
            self.state.take(),
            new,
            |(pgd, _)| pgd.is_resumable(),
            |(pgd, _), state| {
                let snapshot = state.snapshot().unwrap_or_default();
                let deltas = FileDeltas::reopen(scratch, scanned.channels, snapshot);
                let deltas = deltas.map_err(|error| PerturbError::Checkpoint {
                    source: Box::new(error),
                })?;
                Ok((pgd.resumed(state)?, Some(deltas)))
            },
        )?;
        let mut deltas = match (deltas, &state) {
            (Some(deltas), _) => deltas,
            (None, Some(_)) => FileDeltas::create(scratch, scanned.channels)?,
            (None, None) => FileDeltas::temporary(scratch, scanned.channels)?,
        };
        let mut source = self.volumes();
        let mut save = saving(state);
        pgd.run_with(&mut source, &mut deltas, Some(&mut save), &mut |event| {
            observer(ProtectEvent::Train(event));
        })?;
        let ids = scanned.cases.iter().map(|case| case.case.id.clone());
        Ok(Stored {
            deltas,
            code: DeltaCode::new(Budget::new(config.common.epsilon)?),
            places: ids.zip(0..).collect(),
        })
    }

    fn volumes(&self) -> CachedSource<'_> {
        CachedSource::new(self.scanned.cases.len(), |index| self.volume(index))
    }

    fn volume(&self, index: usize) -> Result<TrainingVolume, SourceError> {
        let (scanned, options) = (self.scanned, self.options);
        let case = &scanned.cases[index];
        let load = || -> Result<_, PipelineError> {
            let prepared = PreparedCase::open_with(&scanned.dataset, &case.case, options.labels)?;
            let image = prepared.normalised(&case.ranges);
            let support = prepared.support(options, &case.case.id, &case.ranges)?;
            let support = support.slab(0..prepared.volume.shape()[0]);
            let support = support.into_raw_vec_and_offset().0;
            Ok(prepared.training_volume(image, support, &scanned.classes))
        };
        load().map_err(|error| Box::new(error) as SourceError)
    }

    fn surrogate_weights(&self) -> Result<Option<TensorMap>, PipelineError> {
        let weights = self.options.surrogate_weights.as_ref();
        let weights = weights.map(|weights| read_weights(&weights.path));
        Ok(weights.transpose().map_err(PerturbError::from)?)
    }
}

/// A new loop, or one that goes on from the stored state; and the file for the states to come, if the loop can go on from them.
fn resumed<T>(
    file: Option<TrainingFile>,
    new: impl Fn() -> Result<T, PipelineError>,
    is_resumable: impl Fn(&T) -> bool,
    resume: impl Fn(T, &TrainingState) -> Result<T, PerturbError>,
) -> Result<(T, Option<TrainingFile>), PipelineError> {
    let method = new()?;
    let file = file.filter(|_| is_resumable(&method));
    let method = match file.as_ref().and_then(TrainingFile::read) {
        None => method,
        // A state that does not fit is as good as none: the result is the same.
        Some(state) => resume(method, &state).map_or_else(|_| new(), Ok)?,
    };
    Ok((method, file))
}

/// Stores states in `file`, if there is one.
fn saving(
    mut file: Option<TrainingFile>,
) -> impl FnMut(&dyn Fn() -> Result<TrainingState, PerturbError>) -> Result<(), PerturbError> {
    move |state| match &mut file {
        Some(file) => file.save(state),
        None => Ok(()),
    }
}
