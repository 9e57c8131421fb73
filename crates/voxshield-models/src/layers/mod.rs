//! Building blocks: seeded convolutions, normalisation, activations and residual units.

mod activation;
mod convolution;
mod count;
mod instance_norm;
mod residual_unit;
mod transposed_convolution;
mod unit;
mod weight_rng;

pub use activation::{Activation, ActivationLayer};
pub use convolution::{Conv3d, ConvSpec};
pub(crate) use count::{last_unit_parameters, residual_unit_parameters, up_conv_parameters};
pub use instance_norm::{INSTANCE_NORM_EPSILON, instance_norm};
pub use residual_unit::ResidualUnit;
pub use transposed_convolution::{ConvTranspose3d, ConvTransposeSpec};
pub use unit::{ConvUnit, UpConvUnit};
pub use weight_rng::{WeightRng, constant};
