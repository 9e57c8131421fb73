use serde::{Deserialize, Serialize};

/// Means over one round of the bilevel loop.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RoundRecord {
    /// From 0.
    pub round: usize,
    /// DiceCE of the surrogate on the protected batches of the S-steps.
    pub surrogate_loss: f32,
    /// The whole loss of the N-steps.
    pub noise_loss: f32,
    /// Each term's value before its weight, by name, in the order of the terms.
    pub terms: Vec<(String, f32)>,
}

/// What the loop reports while it runs; the library itself never prints.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// A round begins.
    RoundStarted {
        /// From 0.
        round: usize,
        /// How many there will be.
        rounds: usize,
    },
    /// An S-step or an N-step is done.
    Step {
        /// Steps done so far in the whole run.
        done: usize,
        /// Steps of the whole run.
        total: usize,
    },
    /// A round is done.
    RoundFinished(RoundRecord),
}
