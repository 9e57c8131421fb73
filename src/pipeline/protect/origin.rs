use std::collections::BTreeMap;

use burn::tensor::Device;

use super::deltas::FileDeltas;
use crate::{
    perturb::{
        Budget, ClosedForm, CodeInput, DeltaCode, DeltaStore, Generator, PerturbError, RandomNoise,
        SharedNoise, Window, generate,
    },
    pipeline::{PipelineError, PreparedCase, ProtectOptions, case::case_seed},
};

/// Where the deltas of a run come from.
pub(in crate::pipeline) enum Origin {
    Drawn { noise: RandomNoise, seed: u64 },
    Coded { code: ClosedForm, seed: u64 },
    Learned(Box<Generator>),
    Shared(SharedNoise),
    Stored(Box<Stored>),
}

/// Perturbations that were found case by case.
pub(in crate::pipeline) struct Stored {
    pub(super) deltas: FileDeltas,
    pub(super) code: DeltaCode,
    /// Where each case is in the store, by its id.
    pub(super) places: BTreeMap<String, usize>,
}

impl Origin {
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
                let labels = prepared.label_values();
                let tiles = options.tiles;
                generate(generator, image, &labels, channels, shape, tiles, device)?
            }
            Self::Shared(noise) => noise.delta(&prepared.label_values(), shape)?,
            Self::Stored(stored) => stored.delta(id, shape)?,
        })
    }
}

impl Stored {
    fn delta(&self, id: &str, shape: [usize; 3]) -> Result<Vec<f32>, PipelineError> {
        let (case, codes) = match self.places.get(id) {
            Some(&case) => (case, self.deltas.read(case, Window::whole(shape))),
            None => {
                let reason = format!("{id}: the run that found the perturbations did not have it");
                (self.places.len(), Err(reason.into()))
            }
        };
        let codes = codes.map_err(|source| PerturbError::Source { case, source })?;
        Ok(codes
            .into_iter()
            .map(|code| self.code.decode(code))
            .collect())
    }
}
