//! Dataset layouts: which files of a folder are cases.
//!
//! One layout is one file here and one line in the registry.

mod brats;
mod dataset;
mod dataset_json;
mod decathlon;
mod error;
mod flare;
mod grouping;
mod nnunet;
mod plain;
mod registry;
mod tree;

pub use dataset::{Case, CaseProblem, Channel, Dataset, Split};
pub use error::LayoutError;
pub use registry::{Layout, discover, layouts};
pub use tree::Tree;
