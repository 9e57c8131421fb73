use crate::KernelError;

/// Refuses a volume `[batch, channel, depth, height, width]` of which an axis is shorter than it has to be.
pub(super) fn at_least(
    op: &'static str,
    dims: [usize; 5],
    least: [usize; 5],
) -> Result<(), KernelError> {
    let names = ["batch", "channel", "depth", "height", "width"];
    for (axis, (got, least)) in names.into_iter().zip(dims.into_iter().zip(least)) {
        if got < least {
            return Err(KernelError::TooShort {
                op,
                axis,
                least,
                got,
            });
        }
    }
    Ok(())
}
