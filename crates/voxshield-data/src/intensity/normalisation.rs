//! How a range is chosen.

use serde::{Deserialize, Serialize};

use super::IntensityError;
use super::range::IntensityRange;
use super::statistics::{CtStatistics, is_constant, mean_and_sd, middle};
use crate::error::DataError;
use crate::volume::Volume;

/// Standard deviations on either side of the mean.
const SPREAD: f64 = 5.0;
/// A range that is so many times as wide as the middle 99 % of the voxels comes from a few voxels far off; of a normal distribution it
/// is twice as wide.
const FEW: f64 = 5.0;

/// How (lo, hi) come from a volume, per channel.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
#[non_exhaustive]
pub enum Normalisation {
    /// Mean -+ 5 population standard deviations over the voxels greater than 0 of that channel of that case.
    Mri,
    /// Mean -+ 5 standard deviations of the dataset's foreground after clipping it to its 0.5 and 99.5 percentiles.
    Ct(CtStatistics),
    /// A fixed window in file units, such as Hounsfield units.
    Window {
        /// The value that becomes 0.
        lo: f64,
        /// The value that becomes 1.
        hi: f64,
    },
}

impl Normalisation {
    /// The range for one channel of a volume.
    ///
    /// # Errors
    /// [`DataError::ChannelCount`] for a channel that is not there. For [`Normalisation::Mri`], [`IntensityError::NoPositiveVoxels`] and
    /// [`IntensityError::ConstantImage`]; for the others, [`DataError::InvalidRange`] when their numbers give no range.
    pub fn range(&self, volume: &Volume, channel: usize) -> Result<IntensityRange, DataError> {
        if channel >= volume.channels() {
            return Err(DataError::ChannelCount {
                what: "channel index, below the number of channels",
                expected: volume.channels(),
                found: channel,
            });
        }
        match *self {
            Self::Window { lo, hi } => IntensityRange::new(lo, hi),
            Self::Ct(CtStatistics { mean, sd, .. }) => around(mean, sd),
            Self::Mri => {
                let values = volume.channel_values(channel);
                let positive = values.filter(|&value| value > 0.0);
                let path = || volume.path().to_path_buf();
                let Some((mean, sd)) = mean_and_sd(positive) else {
                    return Err(IntensityError::NoPositiveVoxels {
                        path: path(),
                        channel,
                    }
                    .into());
                };
                if is_constant(sd, mean) {
                    return Err(IntensityError::ConstantImage {
                        path: path(),
                        channel,
                        sd,
                    }
                    .into());
                }
                around(mean, sd)
            }
        }
    }
}

impl Normalisation {
    /// Whether a few voxels far above the others made the range of [`Normalisation::Mri`]: it is more than 5 times as wide as the
    /// middle 99 % of the voxels above 0, in a bounded sample of them. The other kinds depend on no single voxel.
    #[must_use]
    pub fn is_stretched(&self, volume: &Volume, channel: usize, range: &IntensityRange) -> bool {
        let positive = volume.channel_values(channel).filter(|&value| value > 0.0);
        *self == Self::Mri
            && middle(positive).is_some_and(|(low, high)| range.width() > FEW * (high - low))
    }
}

fn around(mean: f64, sd: f64) -> Result<IntensityRange, DataError> {
    IntensityRange::new(mean - SPREAD * sd, mean + SPREAD * sd)
}
