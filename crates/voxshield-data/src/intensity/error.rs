//! Voxels that give no intensity range.

use std::path::PathBuf;

/// Why no intensity range can be computed.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IntensityError {
    /// All voxels that count have the same value.
    #[error("{}: channel {channel}: constant image (standard deviation {sd}): nothing to normalise by", path.display())]
    ConstantImage {
        /// The file.
        path: PathBuf,
        /// The channel.
        channel: usize,
        /// The standard deviation found.
        sd: f64,
    },
    /// No voxel is greater than zero.
    #[error("{}: channel {channel}: no voxel is greater than 0; use the CT or the window normalisation for such data", path.display())]
    NoPositiveVoxels {
        /// The file.
        path: PathBuf,
        /// The channel.
        channel: usize,
    },
    /// The dataset statistics have no, or only equal, foreground voxels.
    #[error(
        "dataset statistics: {voxels} foreground voxels with standard deviation {sd}: no usable foreground; check the labels or give a window"
    )]
    NoStatistics {
        /// Foreground voxels seen.
        voxels: u64,
        /// Their standard deviation after clipping.
        sd: f64,
    },
}
