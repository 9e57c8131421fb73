//! Test support for VoxShield: the device under test, golden files and numerical checks.
//!
//! Everything here panics on failure: it is called by tests only, and a panic that names the
//! file, the tensor and the difference is the report that a test wants.
//!
//! * [`device`]: the device that the enabled feature selects.
//! * [`Golden`]: tensors that PyTorch and MONAI computed, read from `tests/golden`.
//! * [`assert_close`], [`max_abs`], [`max_difference`]: comparisons that say where two arrays differ most.
//! * [`central_difference`]: the numerical gradient that a hand-written one is compared with.

mod close;
mod device;
mod finite_difference;
mod golden;

pub use close::{assert_close, max_abs, max_difference};
pub use device::device;
pub use finite_difference::central_difference;
pub use golden::Golden;
