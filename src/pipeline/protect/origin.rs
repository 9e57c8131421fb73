use std::collections::BTreeMap;

use super::deltas::FileDeltas;
use crate::perturb::{ClosedForm, DeltaCode, Generator, RandomNoise, SharedNoise};

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
