//! The segmentation networks, and the list of them.
//!
//! A network is one module here and one line in [`ARCHITECTURES`].

pub(crate) mod residual_unet;

use crate::Architecture;

/// Every network that can be asked for by name.
pub static ARCHITECTURES: &[Architecture] = &[residual_unet::ARCHITECTURE];
