//! Does a protected dataset protect? Victims x training sets x defences x seeds, from written files.

mod cell;
mod controls;
mod countermeasure;
mod detector;
mod event;
#[cfg(test)]
mod fixtures;
mod labelled;
mod options;
mod plan;
mod preprocess;
mod purify;
mod quality;
mod radius;
mod recompute;
mod record;
mod report;
mod run;
mod score;
mod store;
mod training;
mod utility;

pub use event::EvaluateEvent;
pub use options::{EvaluateOptions, EvaluatePaths, Victim};
pub use run::evaluate;

/// What the results of an evaluation are made with. **Raise it with every change that changes a result**: of a victim, a defence, a control, a
/// purifier or a score. Work folders keep finished victims under it, and would mix old results with new ones otherwise.
pub const EVALUATION_REVISION: u32 = 1;

/// The names of all defences and of their groups: data-side and training-side registries.
pub fn defence_names() -> Vec<&'static str> {
    countermeasure::Countermeasure::known()
}
