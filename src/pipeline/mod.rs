//! Where files meet tensors.
//!
//! [`protect`] turns a dataset into its protected twin, [`verify`] checks the written files,
//! [`inspect`] says what a file or dataset is, [`trial`] trains a victim from written files.

mod case;
mod device;
mod error;
mod inspect;
mod lanes;
mod options;
mod protect;
mod scan;
mod source;
mod trial;
mod verify;
mod write;

pub use case::PreparedCase;
pub use device::{DeviceChoice, DeviceInfo, devices};
pub use error::PipelineError;
pub use inspect::{CaseSummary, FileSummary, Inspection, inspect};
pub use options::{Method, NormalisationChoice, ProtectOptions, SurrogateWeights};
pub use protect::{ProtectEvent, protect};
pub use scan::{ScanEvent, Scanned};
pub use source::CachedSource;
pub use trial::{LabelScore, TrialResult, trial};
pub use verify::{CaseVerdict, VerifyReport, verify};
