//! Does a protected dataset protect? Victims x training sets x defences x seeds, from written files.

mod cell;
mod controls;
mod countermeasure;
mod detector;
mod event;
mod labelled;
mod options;
mod plan;
mod preprocess;
mod purify;
mod quality;
mod recompute;
mod report;
mod run;
mod score;
mod store;
mod training;
mod utility;

pub use event::EvaluateEvent;
pub use options::{EvaluateOptions, EvaluatePaths, Victim};
pub use run::evaluate;

/// The names of all defences and of their groups: data-side and training-side registries.
pub fn defence_names() -> Vec<&'static str> {
    countermeasure::Countermeasure::known()
}
