use voxshield_kernels::KernelError;
use voxshield_models::{ModelError, WeightsError};

/// Whatever a [`PatchSource`](crate::PatchSource), or another part of a caller's own, reports; e.g. a file that cannot be read.
pub type SourceError = Box<dyn std::error::Error + Send + Sync>;

/// Why a perturbation could not be computed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PerturbError {
    /// A setting is outside its range.
    #[error("{what}: expected {expected}, found {found}")]
    Config {
        /// The setting.
        what: &'static str,
        /// What is accepted.
        expected: String,
        /// What was given.
        found: String,
    },
    /// There is nothing to train on.
    #[error("no case to train on: at least one labelled case is needed")]
    NoCases,
    /// A case could not be delivered.
    #[error("case {case}: {source}")]
    Source {
        /// The index of the case.
        case: usize,
        /// What went wrong.
        source: SourceError,
    },
    /// A patch or volume does not have the shape that its description promises.
    #[error("case {case}: {what}: expected {expected} values, found {found}")]
    Extent {
        /// The index of the case.
        case: usize,
        /// The array.
        what: &'static str,
        /// Its promised length.
        expected: usize,
        /// Its length.
        found: usize,
    },
    /// A label value has no class in the surrogate.
    #[error("case {case}: label {label} found, the surrogate has the classes 0 to {last}")]
    Label {
        /// The index of the case.
        case: usize,
        /// The value.
        label: i32,
        /// The largest class.
        last: usize,
    },
    /// The optimisation left the finite numbers.
    #[error(
        "round {round}: the {which} loss is {value}; lower the learning rate or check the intensities"
    )]
    Diverged {
        /// The round, from 0.
        round: usize,
        /// The loss.
        which: &'static str,
        /// Its value.
        value: f32,
    },
    /// A training state that is damaged, or that of another run.
    #[error("training state: {reason}; start the training anew")]
    State {
        /// What is wrong with it.
        reason: String,
    },
    /// A training state could not be stored.
    #[error("training state: {source}")]
    Checkpoint {
        /// What went wrong.
        source: SourceError,
    },
    /// A network refused its configuration or input.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// Weights that are not those of the surrogate, or a file that holds none.
    #[error("surrogate: {0}")]
    Weights(#[from] WeightsError),
    /// A loss refused its arguments.
    #[error(transparent)]
    Kernel(#[from] KernelError),
    /// What a part of a caller's own reports: a [`Term`](crate::Term), a [`Criterion`](crate::Criterion), a
    /// [`TileMap`](crate::TileMap).
    #[error("{what}: {source}")]
    Other {
        /// What reports it.
        what: &'static str,
        /// What went wrong.
        source: SourceError,
    },
}

/// A text, or a value, that a setting does not accept: what was found, and what is expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ParseError(String);

impl ParseError {
    /// The error with this message.
    pub fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}
