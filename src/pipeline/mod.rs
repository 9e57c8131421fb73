//! Where files meet tensors.
//!
//! [`protect`] turns a dataset into its protected twin, [`verify`] checks the written files,
//! [`verify_published`] what of that can be checked without the originals,
//! [`unlock`] restores the originals for those who hold a key,
//! [`inspect`] says what a file or dataset is, [`evaluate`] trains
//! victims from written files, with controls and defences. [`preview`] shows one case before a long run.

mod case;
mod device;
mod error;
mod evaluate;
mod first_look;
mod import;
mod inspect;
mod intensities;
mod label_weights;
mod lanes;
mod memory;
mod named;
mod normalisation_choice;
mod options;
mod preview;
mod protect;
mod pseudo_labels;
mod quality;
mod room;
mod saved;
mod scan;
mod shard;
mod source;
mod unlock;
mod verify;
mod write;

pub use crate::perturb::ParseError;

pub use case::PreparedCase;
pub use device::{DeviceChoice, DeviceInfo, devices};
pub use error::PipelineError;
pub use evaluate::{
    EVALUATION_REVISION, EvaluateEvent, EvaluateOptions, EvaluatePaths, Victim, defence_names,
    evaluate,
};
pub use import::import;
pub use inspect::{CaseSummary, FileSummary, Inspection, inspect};
pub use label_weights::LabelWeights;
pub use memory::MemoryLimit;
pub use normalisation_choice::NormalisationChoice;
pub use options::{Method, ProtectOptions, SurrogateWeights};
pub use preview::{Preview, TimeEstimate, TrainingEstimate, preview};
pub use protect::{ProtectEvent, protect};
use protect::{check_apart, check_clean};
pub use pseudo_labels::LabelSource;
pub use saved::{GeneratorTarget, SavedGenerator};
pub use scan::{ScanEvent, Scanned, ScannedCase};
pub use shard::Shard;
pub use source::CachedSource;
pub use unlock::{RestoredCase, UnlockOptions, UnlockReport, unlock};
pub use verify::{
    CaseVerdict, PublishedReport, VerifyReport, verify, verify_published, verify_signed,
    verify_within,
};
