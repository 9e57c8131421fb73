use thiserror::Error;

use crate::Precision;

/// Why a network cannot be built from its configuration, or cannot take an input.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum ModelError {
    /// No network has this name.
    #[error("network: no network is called {found:?}; there are {}", known.join(", "))]
    UnknownNetwork {
        /// The name given.
        found: String,
        /// The names there are.
        known: Vec<&'static str>,
    },
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
    /// A list does not have one entry for each stage.
    #[error("{what}: expected {expected} entries, got {found}")]
    Count {
        /// The configuration field.
        what: &'static str,
        /// Entries that the other fields ask for.
        expected: usize,
        /// Entries given.
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
    /// A number that has to be divided evenly is not.
    #[error("{what}: expected a multiple of {divisor} ({why}), got {found}")]
    NotAMultiple {
        /// The configuration field.
        what: &'static str,
        /// What it has to be a multiple of.
        divisor: usize,
        /// What the divisor is.
        why: &'static str,
        /// The value given.
        found: usize,
    },
    /// The network would hold more parameters than this library builds.
    #[error("configuration: {parameters} parameters, expected at most {limit}; use fewer channels")]
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
    /// nnU-Net's rule leaves no axis of the patch to halve.
    #[error(
        "patch: {patch:?} voxels (depth, height, width) with spacing {spacing:?} mm are too few for \
         a U-Net; use at least 8 along axes of similar spacing, or 12 along one"
    )]
    PatchTooSmall {
        /// The patch in voxels.
        patch: [usize; 3],
        /// The voxel spacing in millimetres.
        spacing: [f64; 3],
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
    /// The device does not compute with a precision.
    #[error(
        "precision {precision}: {device} does not support it (storage, conversion, arithmetic and dot \
         products are needed); choose f32"
    )]
    Precision {
        /// What was asked for.
        precision: Precision,
        /// The device.
        device: String,
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
    /// A volume on the host does not have the length of its shape.
    #[error("image: expected {expected} values for its channels and shape, got {found}")]
    ImageLength {
        /// Channels times voxels.
        expected: usize,
        /// Values given.
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
    /// The network takes inputs of one size only.
    #[error(
        "input: expected the sizes {expected:?} (depth, height, width), to which the network's \
         table of positions belongs, got {sizes:?}; pass patches of this size, or configure the \
         network for another"
    )]
    InputSizeFixed {
        /// The only accepted sizes.
        expected: [usize; 3],
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
