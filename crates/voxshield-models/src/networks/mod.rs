//! The segmentation networks, and the list of them.
//!
//! A network is one module here and one line in [`ARCHITECTURES`].

mod limits;
pub(crate) mod residual_unet;
pub(crate) mod swin_unetr;
pub(crate) mod unetr;

use crate::Architecture;

/// Every network that can be asked for by name.
pub static ARCHITECTURES: &[Architecture] = &[
    residual_unet::ARCHITECTURE,
    unetr::ARCHITECTURE,
    swin_unetr::ARCHITECTURE,
];
