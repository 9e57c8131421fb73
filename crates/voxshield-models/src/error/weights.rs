use std::path::PathBuf;

use thiserror::Error;

/// One tensor whose stored shape is not the network's.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShapeMismatch {
    /// The parameter's name in the file.
    pub name: String,
    /// The shape of the network's parameter.
    pub expected: Vec<usize>,
    /// The shape of the stored tensor.
    pub found: Vec<usize>,
}

/// Why weights cannot be read or written.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum WeightsError {
    /// The file cannot be read, or not be written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// The file is not a safetensors file, or a damaged one.
    #[error("{}: not a valid safetensors file: {source}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: safetensors::SafeTensorError,
    },
    /// The stored tensors are not those of this network.
    #[error(
        "the weights are not those of this network (missing: {missing:?}; unexpected: \
         {unexpected:?}; wrong shape: {shapes:?}); load them into a network of the configuration \
         that they were saved from"
    )]
    Mismatch {
        /// Parameters of the network that are not stored.
        missing: Vec<String>,
        /// Stored tensors that the network does not have.
        unexpected: Vec<String>,
        /// Tensors with another shape.
        shapes: Vec<ShapeMismatch>,
    },
    /// A stored tensor is not float32.
    #[error("{}: {name}: expected float32, got {found}; convert the file", path.display())]
    ElementType {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// Its element type.
        found: String,
    },
    /// A tensor's values cannot be moved between host and device.
    #[error("{name}: cannot read the tensor's values: {reason}")]
    Data {
        /// The tensor.
        name: String,
        /// Burn's reason.
        reason: String,
    },
}
