//! The state of a training between two rounds, as bytes.

use std::collections::{BTreeMap, BTreeSet};

use burn::optim::ModuleOptimizer;
use burn::store::burn_pack::{Reader, Scalar, Tensor, Writer};
use burn::tensor::{Bytes, TensorData};
use serde::{Deserialize, Serialize};
use voxshield_models::{Parameter, TensorMap};

use crate::{PerturbError, RoundRecord};

/// Under which name the number of finished rounds is stored.
const ROUND: &str = "round";
const HISTORY: &str = "history";
const DESCENT: &str = "descent";
/// Of the parts of a stored tensor's name; no parameter has it in its own.
const SEPARATOR: char = '/';

/// Everything that a loop needs to go on after a round as if it had never stopped: weights, moments and step counts of its networks,
/// and how many rounds are done. Where the draws stand follows from that number.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TrainingState {
    /// Rounds done.
    pub round: usize,
    /// One record a round.
    pub history: Vec<RoundRecord>,
    /// Networks with their optimisers, by role.
    pub(crate) learners: BTreeMap<String, LearnerState>,
    /// Of a loop that keeps a perturbation for each case.
    pub(crate) descent: Option<DescentState>,
}

/// Where a [`Pgd`](crate::Pgd) stands, beside its networks.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct DescentState {
    /// Rounds of surrogate steps done.
    pub(crate) trained: usize,
    /// The loss of the last of them.
    pub(crate) surrogate_loss: f32,
    /// Words drawn.
    pub(crate) drawn: u64,
    /// Cases whose support is empty.
    pub(crate) untouched: BTreeSet<usize>,
    /// What the store calls the perturbations.
    pub(crate) snapshot: String,
}

/// One network with its optimiser.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct LearnerState {
    /// Parameters and running statistics by name.
    pub(crate) weights: TensorMap,
    /// Moments by `parameter/moment`.
    pub(crate) moments: TensorMap,
    /// Counters by `parameter/counter`.
    pub(crate) counters: BTreeMap<String, u64>,
}

/// Called after every round with a function that reads the state from the device, which waits for it; an error stops the run.
pub type SaveState<'a> =
    &'a mut dyn FnMut(&dyn Fn() -> Result<TrainingState, PerturbError>) -> Result<(), PerturbError>;

impl TrainingState {
    /// The records of the rounds that are done, in a run of so many.
    pub(crate) fn checked_history(&self, rounds: usize) -> Result<Vec<RoundRecord>, PerturbError> {
        if self.round > rounds || self.history.len() != self.round {
            return Err(state(format!(
                "{} rounds with {} records; the run has {rounds} rounds",
                self.round,
                self.history.len(),
            )));
        }
        Ok(self.history.clone())
    }

    /// What the [`DeltaStore`](crate::DeltaStore) called the perturbations that belong to this state; `None` for a loop that keeps none.
    pub fn snapshot(&self) -> Option<&str> {
        self.descent
            .as_ref()
            .map(|descent| descent.snapshot.as_str())
    }

    pub(crate) fn learner(&self, role: &str) -> Result<&LearnerState, PerturbError> {
        let learner = self.learners.get(role);
        learner.ok_or_else(|| state(format!("it has no {role}")))
    }

    /// The state in Burn's pack format.
    ///
    /// # Errors
    /// [`PerturbError::State`] if it cannot be written so.
    pub fn to_bytes(&self) -> Result<Vec<u8>, PerturbError> {
        let mut tensors = Vec::new();
        let mut counters = BTreeMap::from([(ROUND.to_string(), self.round as u64)]);
        for (role, learner) in &self.learners {
            for (kind, map) in [("weights", &learner.weights), ("moments", &learner.moments)] {
                for (name, data) in map {
                    let (bytes, shape, dtype) = data.clone().into_parts();
                    let name = [role, kind, name].join("/");
                    tensors.push(Tensor::new(name, dtype, shape, None, bytes));
                }
            }
            for (name, &count) in &learner.counters {
                counters.insert([role, "counters", name].join("/"), count);
            }
        }
        let history = serde_json::to_string(&self.history).map_err(state)?;
        let writer = counters
            .into_iter()
            .fold(Writer::new(tensors), |writer, (name, count)| {
                writer.with_scalar(&name, Scalar::UInt(count))
            });
        let mut writer = writer.with_metadata(HISTORY, &history);
        if let Some(descent) = &self.descent {
            let descent = serde_json::to_string(descent).map_err(state)?;
            writer = writer.with_metadata(DESCENT, &descent);
        }
        let bytes = writer.into_bytes();
        Ok(bytes.map_err(state)?.to_vec())
    }

    /// The state that [`TrainingState::to_bytes`] wrote.
    ///
    /// # Errors
    /// [`PerturbError::State`] for bytes that are none. Whether it is the state of a certain run, [`Bilevel::resumed`] checks.
    ///
    /// [`Bilevel::resumed`]: crate::Bilevel::resumed
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, PerturbError> {
        let reader = Reader::from_bytes(Bytes::from_bytes_vec(bytes.to_vec())).map_err(state)?;
        let history = reader.metadata().get(HISTORY);
        let history = history.ok_or_else(|| state("it has no history"))?;
        let descent = reader.metadata().get(DESCENT);
        let mut found = Self {
            round: 0,
            history: serde_json::from_str(history).map_err(state)?,
            learners: BTreeMap::new(),
            descent: (descent.map(|descent| serde_json::from_str(descent).map_err(state)))
                .transpose()?,
        };
        for (name, &value) in reader.scalars() {
            let Scalar::UInt(count) = value else {
                return Err(state(format!("{name} is no count")));
            };
            if name == ROUND {
                found.round = usize::try_from(count).map_err(state)?;
                continue;
            }
            match found.slot(name)? {
                (learner, "counters", rest) => learner.counters.insert(rest, count),
                _ => return Err(state(format!("the unexpected count {name}"))),
            };
        }
        for tensor in reader.into_tensors().map_err(state)? {
            let (name, dtype, shape, _, bytes) = tensor.into_parts().map_err(state)?;
            let data = TensorData::from_bytes(bytes, shape, dtype);
            match found.slot(&name)? {
                (learner, "weights", rest) => learner.weights.insert(rest, data),
                (learner, "moments", rest) => learner.moments.insert(rest, data),
                _ => return Err(state(format!("the unexpected tensor {name}"))),
            };
        }
        Ok(found)
    }

    fn slot<'n>(
        &mut self,
        name: &'n str,
    ) -> Result<(&mut LearnerState, &'n str, String), PerturbError> {
        let mut parts = name.splitn(3, SEPARATOR);
        let (Some(role), Some(kind), Some(rest)) = (parts.next(), parts.next(), parts.next())
        else {
            return Err(state(format!("the unexpected entry {name}")));
        };
        let learner = self.learners.entry(role.to_string()).or_default();
        Ok((learner, kind, rest.to_string()))
    }
}

/// Moments and counters of an optimiser by the names of its network's `parameters`.
///
/// Burn knows a parameter by a number that is drawn anew in every process.
pub(crate) fn optimiser_state(
    optimiser: &ModuleOptimizer,
    parameters: &[Parameter],
) -> Result<(TensorMap, BTreeMap<String, u64>), PerturbError> {
    let reader = Reader::from_bytes(optimiser.into_bytes().map_err(state)?).map_err(state)?;
    let names: BTreeMap<String, &str> = parameters
        .iter()
        .map(|parameter| (parameter.id.val().to_string(), parameter.name.as_str()))
        .collect();
    let named = |stored: &str| {
        let (id, what) = stored.split_once('.').unwrap_or((stored, ""));
        let name = names
            .get(id)
            .ok_or_else(|| state("the optimiser knows another network"))?;
        Ok::<_, PerturbError>([name, what].join("/"))
    };
    let mut counters = BTreeMap::new();
    for (stored, &value) in reader.scalars() {
        let count = u64::try_from(value).map_err(|_| state(format!("{stored} is no count")))?;
        counters.insert(named(stored)?, count);
    }
    let mut moments = TensorMap::new();
    for tensor in reader.into_tensors().map_err(state)? {
        let (stored, dtype, shape, _, bytes) = tensor.into_parts().map_err(state)?;
        moments.insert(named(&stored)?, TensorData::from_bytes(bytes, shape, dtype));
    }
    Ok((moments, counters))
}

/// The optimiser with the moments and counters of a state.
///
/// # Errors
/// [`PerturbError::State`] if they are not those of a network with these `parameters`.
pub(crate) fn with_optimiser_state(
    optimiser: ModuleOptimizer,
    parameters: &[Parameter],
    learner: &LearnerState,
) -> Result<ModuleOptimizer, PerturbError> {
    let find = |entry: &str| {
        let (name, what) = entry.split_once(SEPARATOR).unwrap_or((entry, ""));
        let parameter = parameters.iter().find(|parameter| parameter.name == name);
        let parameter = parameter.ok_or_else(|| state(format!("the network has no {name}")))?;
        Ok::<_, PerturbError>((parameter, format!("{}.{what}", parameter.id.val())))
    };
    let mut tensors = Vec::with_capacity(learner.moments.len());
    for (entry, data) in &learner.moments {
        let (parameter, name) = find(entry)?;
        if data.shape().as_slice() != parameter.shape {
            return Err(state(format!(
                "{entry} has the shape {:?} instead of {:?}",
                data.shape(),
                parameter.shape
            )));
        }
        let (bytes, shape, dtype) = data.clone().into_parts();
        tensors.push(Tensor::new(
            name,
            dtype,
            shape,
            Some(parameter.id.val()),
            bytes,
        ));
    }
    let mut writer = Writer::new(tensors);
    for (entry, &count) in &learner.counters {
        writer = writer.with_scalar(&find(entry)?.1, Scalar::UInt(count));
    }
    optimiser
        .from_bytes(writer.into_bytes().map_err(state)?)
        .map_err(state)
}

/// The role of a network that is no longer trained.
pub(crate) fn target_role(index: usize) -> String {
    format!("target-{index}")
}

/// A surrogate's role in a [`TrainingState`].
pub(crate) fn surrogate_role(index: usize) -> String {
    format!("surrogate-{index}")
}

/// [`PerturbError::State`] with a reason.
pub(crate) fn state(reason: impl ToString) -> PerturbError {
    PerturbError::State {
        reason: reason.to_string(),
    }
}
