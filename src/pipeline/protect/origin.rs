use std::path::Path;

use burn::tensor::Device;

use super::{deltas::FileDeltas, state::TrainingFile};
use crate::{
    models::{NoiseGenerator, TensorMap, read_weights},
    perturb::{
        Bilevel, BilevelConfig, Budget, ClosedForm, DeltaCode, PerturbError, Pgd, PgdConfig,
        RandomNoise, SharedNoise, SharedNoiseConfig, SharedNoiseTraining, SourceError,
        TrainingVolume,
    },
    pipeline::{
        CachedSource, Method, PipelineError, PreparedCase, ProtectEvent, ProtectOptions, Scanned,
    },
};

/// Where the deltas of a run come from.
pub(in crate::pipeline) enum Origin {
    Drawn { noise: RandomNoise, seed: u64 },
    Coded { code: ClosedForm, seed: u64 },
    Learned(Box<NoiseGenerator>),
    Shared(SharedNoise),
    Stored(Box<Stored>),
}

/// What an origin has to be optimised for.
pub(in crate::pipeline) enum Task<'a> {
    Generator(&'a BilevelConfig),
    Tiles(&'a SharedNoiseConfig),
    Deltas(&'a PgdConfig),
}

/// Perturbations that were found case by case.
pub(in crate::pipeline) struct Stored {
    pub(super) deltas: FileDeltas,
    pub(super) code: DeltaCode,
    /// Of each case in the store.
    pub(super) ids: Vec<String>,
}

impl Origin {
    /// That of `method`, for images of `channels`; `optimise` is called where something is to be optimised.
    pub(in crate::pipeline) fn of(
        method: &Method,
        channels: usize,
        device: &Device,
        optimise: impl FnOnce(Task<'_>) -> Result<Self, PipelineError>,
    ) -> Result<Self, PipelineError> {
        Ok(match method {
            Method::Random { noise, seed, .. } => Self::Drawn {
                noise: *noise,
                seed: *seed,
            },
            Method::ClosedForm { code, seed, .. } => Self::Coded {
                code: *code,
                seed: *seed,
            },
            Method::SavedGenerator(saved) => saved.load(channels, device)?,
            Method::Voxshield(config) => optimise(Task::Generator(config))?,
            Method::SharedNoise(config) => optimise(Task::Tiles(config))?,
            Method::SampleWise(config) => optimise(Task::Deltas(config))?,
        })
    }
}

pub(in crate::pipeline) fn train(
    scanned: &Scanned,
    config: &BilevelConfig,
    options: &ProtectOptions,
    device: &Device,
    file: Option<TrainingFile>,
    observer: &mut dyn FnMut(ProtectEvent<'_>),
) -> Result<NoiseGenerator, PipelineError> {
    let mut source = volumes(scanned, options);
    let weights = surrogate_weights(options)?;
    let new = || -> Result<Bilevel, PipelineError> {
        let (channels, classes) = (scanned.channels, scanned.classes.len());
        let bilevel = Bilevel::new(config.clone(), channels, classes, device)?;
        match &weights {
            None => Ok(bilevel),
            Some(weights) => Ok(bilevel.with_surrogate_weights(weights)?),
        }
    };
    let bilevel = new()?;
    let mut file = file.filter(|_| bilevel.is_resumable());
    let bilevel = match file.as_ref().and_then(TrainingFile::read) {
        None => bilevel,
        // A state that does not fit is as good as none: the result is the same.
        Some(state) => bilevel.resumed(&state).map_or_else(|_| new(), Ok)?,
    };
    let mut save = |state: &dyn Fn() -> _| match &mut file {
        Some(file) => file.save(state),
        None => Ok(()),
    };
    let trained = bilevel.run_with(&mut source, Some(&mut save), &mut |event| {
        observer(ProtectEvent::Train(event))
    })?;
    Ok(trained.generator)
}

/// Finds the tiles that all cases share.
pub(in crate::pipeline) fn share(
    scanned: &Scanned,
    config: &SharedNoiseConfig,
    options: &ProtectOptions,
    device: &Device,
    observer: &mut dyn FnMut(ProtectEvent<'_>),
) -> Result<SharedNoise, PipelineError> {
    let mut training =
        SharedNoiseTraining::new(config.clone(), scanned.channels, &scanned.classes, device)?;
    if let Some(weights) = surrogate_weights(options)? {
        training = training.with_surrogate_weights(&weights)?;
    }
    let tiles = training.noise().clone();
    let mut source = CachedSource::new(scanned.cases.len(), |index| {
        let mut volume = volume(scanned, index, options)?;
        let labels: Vec<u16> = (volume.labels.iter())
            .map(|&class| scanned.classes.get(class as usize).copied().unwrap_or(0))
            .collect();
        let places = tiles.place(&labels, volume.shape)?;
        volume
            .image
            .extend(places.iter().map(|place| place.unwrap_or(0) as f32));
        volume.channels += 1;
        Ok(volume)
    });
    Ok(training.run(&mut source, &mut |event| {
        observer(ProtectEvent::Train(event));
    })?)
}

/// Finds the perturbation of every case; they are kept in a temporary folder within `scratch`.
pub(in crate::pipeline) fn descend(
    scanned: &Scanned,
    config: &PgdConfig,
    options: &ProtectOptions,
    device: &Device,
    scratch: &Path,
    observer: &mut dyn FnMut(ProtectEvent<'_>),
) -> Result<Stored, PipelineError> {
    let mut source = volumes(scanned, options);
    let mut deltas = FileDeltas::create(scratch, scanned.channels)?;
    let classes = scanned.classes.len();
    let mut pgd = Pgd::new(config.clone(), scanned.channels, classes, device)?;
    if let Some(weights) = surrogate_weights(options)? {
        pgd = pgd.with_surrogate_weights(&weights)?;
    }
    pgd.run(&mut source, &mut deltas, &mut |event| {
        observer(ProtectEvent::Train(event));
    })?;
    Ok(Stored {
        deltas,
        code: DeltaCode::new(Budget::new(config.epsilon)?),
        ids: scanned
            .cases
            .iter()
            .map(|case| case.case.id.clone())
            .collect(),
    })
}

fn volumes<'a>(scanned: &'a Scanned, options: &'a ProtectOptions) -> CachedSource<'a> {
    CachedSource::new(scanned.cases.len(), |index| volume(scanned, index, options))
}

fn volume(
    scanned: &Scanned,
    index: usize,
    options: &ProtectOptions,
) -> Result<TrainingVolume, SourceError> {
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

fn surrogate_weights(options: &ProtectOptions) -> Result<Option<TensorMap>, PipelineError> {
    let weights = options.surrogate_weights.as_ref();
    let weights = weights.map(|weights| read_weights(&weights.path));
    Ok(weights.transpose().map_err(PerturbError::from)?)
}
