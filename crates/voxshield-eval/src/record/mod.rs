//! The result of an evaluation as plain data: what a report is made from, and what JSON holds.
//!
//! No tensors and no voxels. Numbers that do not exist (a distance to an empty mask, the PSNR of two
//! equal volumes) are `None`, since JSON has neither NaN nor infinity.

mod cell;
mod evaluation;
mod quality;
mod spread;
mod summary;

pub use cell::{Cell, CellKey, CellResult, CurvePoint, LabelScore, NO_DEFENCE, Outcome, Scores};
pub use evaluation::{DatasetFacts, EvaluationRecord, EvaluationSettings, Role, TrainingSet};
pub use quality::{DetectorScore, Quality, Shift, Spectrum, Utility};
pub use spread::Spread;
pub use summary::{Summary, SummaryRow, WorstCase};
