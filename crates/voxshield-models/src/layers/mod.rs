//! Building blocks: seeded convolutions, normalisation, activations and residual units.

mod activation;
mod convolution;
mod count;
mod dropout;
mod group_norm;
mod guarded;
mod he;
mod instance_norm;
mod residual_unit;
mod transposed_convolution;
mod unit;
mod upsample_aligned;
mod weight_rng;

pub use activation::{Activation, ActivationLayer};
pub use convolution::{Conv3d, ConvSpec};
pub(crate) use count::{last_unit_parameters, residual_unit_parameters, up_conv_parameters};
pub use dropout::ChannelDropout;
pub(crate) use group_norm::group_norm;
pub use instance_norm::{INSTANCE_NORM_EPSILON, affine_instance_norm, instance_norm};
pub use residual_unit::ResidualUnit;
pub use transposed_convolution::{ConvTranspose3d, ConvTransposeSpec};
pub use unit::{ConvUnit, UpConvUnit};
pub use upsample_aligned::upsample_aligned;
pub use weight_rng::{WeightRng, constant};
