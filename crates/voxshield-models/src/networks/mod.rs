//! The segmentation networks, and the list of them.
//!
//! A network is one module here and one line in [`ARCHITECTURES`].

pub(crate) mod attention_unet;
pub(crate) mod con_res_net;
pub(crate) mod limits;
pub(crate) mod nnunet;
pub(crate) mod residual_unet;
pub(crate) mod seg_res_net;
pub(crate) mod swin_unetr;
pub(crate) mod unet_plus_plus;
pub(crate) mod unetr;
pub(crate) mod v_net;

use crate::Architecture;

/// Every network that can be asked for by name.
pub static ARCHITECTURES: &[Architecture] = &[
    residual_unet::ARCHITECTURE,
    unet_plus_plus::ARCHITECTURE,
    attention_unet::ARCHITECTURE,
    v_net::ARCHITECTURE,
    seg_res_net::ARCHITECTURE,
    nnunet::PLAIN,
    nnunet::RESIDUAL_ENCODER,
    con_res_net::ARCHITECTURE,
    unetr::ARCHITECTURE,
    swin_unetr::ARCHITECTURE,
];
