//! NIfTI-1 and NIfTI-2, both byte orders, as one file or as a pair.

mod blocks;
mod datatype;
mod digest;
mod endian;
mod error;
mod gzip;
mod header;
mod new;
mod paths;
mod qform;
mod read;
mod scaling;
mod stored;
mod write;

pub use datatype::{Datatype, Value};
pub use endian::Endian;
pub use error::HeaderError;
pub use header::{Header, Version};
pub use new::{NewVoxels, write_new};
pub use paths::{file_parts, is_nifti_name};
pub use scaling::Scaling;
pub use stored::StoredVolume;

pub(crate) use datatype::Number;
pub(crate) use digest::Digest;
pub(crate) use new::write_new_scaled;
pub(crate) use paths::{ends_with_ignore_case, nifti_stem};
pub(crate) use read::VolumeReader;
