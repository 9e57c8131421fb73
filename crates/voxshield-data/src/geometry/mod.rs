//! From voxel indices to the patient and back.

mod affine;
mod orientation;

pub use affine::Affine;
pub use orientation::Orientation;
