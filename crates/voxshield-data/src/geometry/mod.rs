//! From voxel indices to the patient and back.

mod affine;
mod orientation;
mod quaternion;

pub use affine::Affine;
pub use orientation::Orientation;
pub(crate) use quaternion::quaternion_rotation;
