//! The checks that the configurations have in common.

use crate::ModelError;

/// 4 GiB of float32 weights; beyond it a configuration is taken for a mistake.
const MAX_PARAMETERS: u64 = 1 << 30;
/// No volume has an axis this long.
const MAX_TOTAL_STRIDE: usize = 1 << 16;

pub(crate) fn not_zero(what: &'static str, values: &[usize]) -> Result<(), ModelError> {
    match values.contains(&0) {
        true => Err(ModelError::Zero { what }),
        false => Ok(()),
    }
}

/// At least two levels, and a stride between each two of them.
pub(super) fn levels(channels: &[usize], strides: &[usize]) -> Result<(), ModelError> {
    if channels.len() < 2 {
        return Err(ModelError::TooFewLevels {
            found: channels.len(),
        });
    }
    if strides.len() != channels.len() - 1 {
        return Err(ModelError::StrideCount {
            expected: channels.len() - 1,
            found: strides.len(),
        });
    }
    match total_stride(strides) > MAX_TOTAL_STRIDE {
        true => Err(ModelError::StridesTooLarge {
            limit: MAX_TOTAL_STRIDE,
        }),
        false => Ok(()),
    }
}

/// The product of the strides; saturating.
pub(super) fn total_stride(strides: &[usize]) -> usize {
    strides.iter().copied().fold(1, usize::saturating_mul)
}

/// Refuses a network before its weights are allocated.
pub(crate) fn affordable(parameters: u64) -> Result<(), ModelError> {
    match parameters > MAX_PARAMETERS {
        true => Err(ModelError::TooLarge {
            parameters,
            limit: MAX_PARAMETERS,
        }),
        false => Ok(()),
    }
}

/// Checks that `found` is a multiple of `divisor`, which is not 0.
pub(super) fn multiple(
    what: &'static str,
    found: usize,
    divisor: usize,
    why: &'static str,
) -> Result<(), ModelError> {
    match found.is_multiple_of(divisor) {
        true => Ok(()),
        false => Err(ModelError::NotAMultiple {
            what,
            divisor,
            why,
            found,
        }),
    }
}
