//! Scores on host arrays, in `f64`.

mod dice;
mod quality;
mod ssim;

pub use dice::dice;
pub use quality::psnr;
pub use ssim::ssim;

use crate::EvalError;

fn same_length(what: &'static str, expected: usize, found: usize) -> Result<(), EvalError> {
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
