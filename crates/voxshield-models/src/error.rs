use std::path::PathBuf;

use thiserror::Error;

/// Why a network cannot be built from its configuration, or cannot take an input.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum ModelError {
    /// A channel or class count is zero.
    #[error("{what}: expected at least 1, got 0")]
    Zero {
        /// The configuration field.
        what: &'static str,
    },
    /// A U-Net needs an encoder level and a bottom.
    #[error("channels: expected at least 2 levels, got {found}; add a level")]
    TooFewLevels {
        /// The number of levels given.
        found: usize,
    },
    /// Each level but the bottom has one stride.
    #[error(
        "strides: expected one for each of the {expected} levels above the bottom, got {found}"
    )]
    StrideCount {
        /// Levels above the bottom.
        expected: usize,
        /// Strides given.
        found: usize,
    },
    /// The network would hold more parameters than this library builds.
    #[error(
        "channels, strides: {parameters} parameters, expected at most {limit}; use fewer channels"
    )]
    TooLarge {
        /// Parameters of the configured network (saturating).
        parameters: u64,
        /// The most that is accepted.
        limit: u64,
    },
    /// The product of the strides is beyond any volume.
    #[error("strides: their product is beyond {limit}; use smaller or fewer strides")]
    StridesTooLarge {
        /// The largest accepted product.
        limit: usize,
    },
    /// A real-valued setting is outside its range.
    #[error("{what}: expected {expected}, got {found}")]
    OutOfRange {
        /// The configuration field.
        what: &'static str,
        /// The accepted values.
        expected: &'static str,
        /// The value given.
        found: f64,
    },
    /// A noise generator adds its output to its input, so both have the same channels.
    #[error(
        "noise generator: expected as many output as input channels, got {in_channels} in and \
         {out_channels} out"
    )]
    ChannelsDiffer {
        /// Input channels.
        in_channels: usize,
        /// Output channels.
        out_channels: usize,
    },
    /// The input has another number of channels than the network.
    #[error("input: expected {expected} channels, got {found}")]
    InputChannels {
        /// Channels of the network.
        expected: usize,
        /// Channels of the input.
        found: usize,
    },
    /// The input has no samples.
    #[error("input: expected at least 1 sample, got an empty batch")]
    EmptyBatch,
    /// A spatial size is not a positive multiple of the network's total stride.
    #[error(
        "input: expected sizes that are positive multiples of {multiple:?} (depth, height, width), \
         got {sizes:?}; pad or crop the volume"
    )]
    InputSize {
        /// The total stride per axis.
        multiple: [usize; 3],
        /// The sizes of the input.
        sizes: [usize; 3],
    },
    /// The deepest feature map would be one voxel, of which instance normalisation leaves nothing.
    #[error(
        "input: sizes {sizes:?} (depth, height, width) leave a single voxel at the deepest level, \
         which cannot be normalised; at least one size must be larger than {multiple:?}"
    )]
    InputTooSmall {
        /// The total stride per axis.
        multiple: [usize; 3],
        /// The sizes of the input.
        sizes: [usize; 3],
    },
}

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
