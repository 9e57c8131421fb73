//! The segmentation networks, and the list of them.
//!
//! A network is one module here and one line in [`ARCHITECTURES`].

pub(crate) mod con_res_net;
mod limits;
pub(crate) mod nnunet;
pub(crate) mod residual_unet;

use crate::Architecture;

/// Every network that can be asked for by name.
pub static ARCHITECTURES: &[Architecture] = &[
    residual_unet::ARCHITECTURE,
    nnunet::PLAIN,
    nnunet::RESIDUAL_ENCODER,
    con_res_net::ARCHITECTURE,
];
