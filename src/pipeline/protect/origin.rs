use burn::tensor::Device;

use super::state::TrainingFile;
use crate::{
    models::{NoiseGenerator, read_weights},
    perturb::{
        Bilevel, BilevelConfig, Budget, ClosedForm, CodeInput, PerturbError, RandomNoise,
        SourceError, generate,
    },
    pipeline::{
        CachedSource, Method, PipelineError, PreparedCase, ProtectEvent, ProtectOptions, Scanned,
        case::case_seed,
    },
};

/// Where the deltas of a run come from.
pub(in crate::pipeline) enum Origin {
    Drawn { noise: RandomNoise, seed: u64 },
    Coded { code: ClosedForm, seed: u64 },
    Learned(Box<NoiseGenerator>),
}

impl Origin {
    /// That of `method`, for images of `channels`; `train` is called where a generator is to be trained.
    pub(in crate::pipeline) fn of(
        method: &Method,
        channels: usize,
        device: &Device,
        train: impl FnOnce(&BilevelConfig) -> Result<NoiseGenerator, PipelineError>,
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
            Method::SavedGenerator(saved) => Self::Learned(Box::new(saved.load(channels, device)?)),
            Method::Voxshield(config) => Self::Learned(Box::new(train(config)?)),
        })
    }

    pub(in crate::pipeline) fn delta(
        &self,
        prepared: &PreparedCase,
        image: &[f32],
        id: &str,
        options: &ProtectOptions,
        device: &Device,
    ) -> Result<Vec<f32>, PipelineError> {
        let (channels, shape) = (prepared.volume.channels(), prepared.volume.shape());
        Ok(match self {
            Self::Drawn { noise, seed } => {
                let seed = case_seed(*seed, id);
                let budget = Budget::new(options.method.epsilon())?;
                noise.sample(budget, channels, shape.iter().product(), seed)?
            }
            Self::Coded { code, seed } => {
                let labels = prepared.label_values();
                let input = CodeInput {
                    labels: &labels,
                    shape,
                    seed: *seed,
                };
                code.delta(&input, Budget::new(options.method.epsilon())?, channels)?
            }
            Self::Learned(generator) => {
                generate(generator, image, channels, shape, options.tiles, device)?
            }
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
    let mut source = CachedSource::new(scanned.cases.len(), |index| {
        let case = &scanned.cases[index];
        let load = || -> Result<_, PipelineError> {
            let prepared = PreparedCase::open_with(&scanned.dataset, &case.case, options.labels)?;
            let image = prepared.normalised(&case.ranges);
            let support = prepared.support(options, &case.case.id, &image)?;
            Ok(prepared.training_volume(image, support, &scanned.classes))
        };
        load().map_err(|error| Box::new(error) as SourceError)
    });
    let new = || -> Result<Bilevel, PipelineError> {
        let (channels, classes) = (scanned.channels, scanned.classes.len());
        let bilevel = Bilevel::new(config.clone(), channels, classes, device)?;
        match &options.surrogate_weights {
            None => Ok(bilevel),
            Some(weights) => {
                let weights = read_weights(&weights.path).map_err(PerturbError::from)?;
                Ok(bilevel.with_surrogate_weights(&weights)?)
            }
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
