use std::fmt;
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

impl fmt::Display for ShapeMismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            name,
            expected,
            found,
        } = self;
        write!(f, "{name}, expected {expected:?}, got {found:?}")
    }
}

/// The first few of each list and the length of the rest.
fn summary(missing: &[String], unexpected: &[String], shapes: &[ShapeMismatch]) -> String {
    fn part<T: fmt::Display>(what: &str, items: &[T]) -> Option<String> {
        const SHOWN: usize = 4;
        let names: Vec<String> = items.iter().take(SHOWN).map(T::to_string).collect();
        let more = match items.len().saturating_sub(SHOWN) {
            0 => String::new(),
            rest => format!("; and {rest} more"),
        };
        (!items.is_empty()).then(|| format!("{} {what} ({}{more})", items.len(), names.join("; ")))
    }
    let parts = [
        part("missing", missing),
        part("unexpected", unexpected),
        part("of another shape", shapes),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
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
    /// The file is not what `torch.save` writes, or a damaged or refused one.
    #[error("{}: neither a safetensors file nor a readable PyTorch checkpoint: {source}", path.display())]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: voxshield_pytorch::pytorch_reader::PytorchError,
    },
    /// The stored tensors are not those of this network.
    #[error(
        "the weights are not those of this network: {}; load them into a network of the \
         configuration that they were saved from",
        summary(missing, unexpected, shapes)
    )]
    Mismatch {
        /// Parameters of the network that are not stored.
        missing: Vec<String>,
        /// Stored tensors that the network does not have.
        unexpected: Vec<String>,
        /// Tensors with another shape.
        shapes: Vec<ShapeMismatch>,
    },
    /// A stored tensor has a type that no weight can have.
    #[error(
        "{}: {name}: expected floats or integers of 8 to 64 bits, got {found}; convert the file",
        path.display()
    )]
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
