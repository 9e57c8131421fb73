//! Which configurations have a network.

use std::ops::RangeInclusive;

use super::NnUnetConfig;
use crate::ModelError;
use crate::networks::limits::{affordable, not_zero};

/// No volume has an axis this long.
const MAX_TOTAL_STRIDE: usize = 1 << 16;

impl NnUnetConfig {
    /// Checks that a network of this structure exists and is of a sensible size.
    ///
    /// # Errors
    ///
    /// * [`ModelError::Zero`]: a count, a feature or a stride of 0;
    /// * [`ModelError::Count`]: a list whose length is not that of `features`;
    /// * [`ModelError::OutOfRange`]: less than 2 or more than 16 stages, a stride in the first, more
    ///   than 64 blocks or convolutions in a stage, or a kernel that is not odd or larger than 15;
    /// * [`ModelError::StridesTooLarge`]: strides whose product along an axis is beyond 2^16;
    /// * [`ModelError::TooLarge`]: more than 2^30 parameters.
    pub fn validate(&self) -> Result<(), ModelError> {
        self.check_counts()?;
        self.check_ranges()?;
        let strides = self.total_stride();
        if strides.iter().any(|&total| total > MAX_TOTAL_STRIDE) {
            return Err(ModelError::StridesTooLarge {
                limit: MAX_TOTAL_STRIDE,
            });
        }
        affordable(self.parameter_count())
    }

    fn check_counts(&self) -> Result<(), ModelError> {
        let stages = self.features.len();
        range("features", "2 to 16 stages", 2..=16, &[stages])?;
        for (what, found, expected) in [
            ("kernels", self.kernels.len(), stages),
            ("strides", self.strides.len(), stages),
            ("blocks", self.blocks.len(), stages),
            ("decoder_convs", self.decoder_convs.len(), stages - 1),
        ] {
            if found != expected {
                return Err(ModelError::Count {
                    what,
                    expected,
                    found,
                });
            }
        }
        Ok(())
    }

    fn check_ranges(&self) -> Result<(), ModelError> {
        not_zero("in_channels", &[self.in_channels])?;
        not_zero("classes", &[self.classes])?;
        not_zero("features", &self.features)?;
        not_zero("strides", self.strides.as_flattened())?;
        let full = "1 along all axes in the first stage, whose head has the size of the input";
        range("strides", full, 1..=1, &self.strides[0])?;
        let most = "1 to 64 in each stage";
        range("blocks", most, 1..=64, &self.blocks)?;
        range("decoder_convs", most, 1..=64, &self.decoder_convs)?;
        let odd = "odd sizes from 1 to 15";
        let kernels = self.kernels.as_flattened();
        range("kernels", odd, 1..=15, kernels)?;
        match kernels.iter().find(|size| size.is_multiple_of(2)) {
            Some(&size) => Err(ModelError::OutOfRange {
                what: "kernels",
                expected: odd,
                found: size as f64,
            }),
            None => Ok(()),
        }
    }
}

fn range(
    what: &'static str,
    expected: &'static str,
    accepted: RangeInclusive<usize>,
    values: &[usize],
) -> Result<(), ModelError> {
    match values.iter().find(|value| !accepted.contains(value)) {
        Some(&value) => Err(ModelError::OutOfRange {
            what,
            expected,
            found: value as f64,
        }),
        None => Ok(()),
    }
}
