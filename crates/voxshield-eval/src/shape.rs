//! Checks of sizes that callers pass.

use crate::EvalError;

pub(crate) fn same_length(
    what: &'static str,
    expected: usize,
    found: usize,
) -> Result<(), EvalError> {
    if expected == found {
        Ok(())
    } else {
        Err(EvalError::Length {
            what,
            expected,
            found,
        })
    }
}

/// The voxels of a volume that has some. A product beyond `usize` saturates: no array has that
/// length, so the length check that follows fails.
pub(crate) fn voxels(shape: [usize; 3]) -> Result<usize, EvalError> {
    match shape.into_iter().fold(1, usize::saturating_mul) {
        0 => Err(EvalError::Empty { shape }),
        voxels => Ok(voxels),
    }
}

/// The voxels of one volume, for an array of one or more.
pub(crate) fn volumes(
    what: &'static str,
    length: usize,
    shape: [usize; 3],
) -> Result<usize, EvalError> {
    let voxels = voxels(shape)?;
    let whole = length.div_ceil(voxels).max(1).saturating_mul(voxels);
    same_length(what, whole, length)?;
    Ok(voxels)
}
