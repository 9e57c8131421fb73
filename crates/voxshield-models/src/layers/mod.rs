//! Building blocks: seeded convolutions, normalisation, activations and residual units.

mod activation;
mod convolution;
mod count;
mod instance_norm;
mod residual_unit;
mod unit;

pub use activation::{Activation, ActivationLayer};
pub use convolution::{WeightRng, conv_transpose3d, conv3d};
pub(crate) use count::{last_unit_parameters, residual_unit_parameters, up_conv_parameters};
pub use instance_norm::{INSTANCE_NORM_EPSILON, instance_norm};
pub use residual_unit::ResidualUnit;
pub use unit::{ConvUnit, UpConvUnit};
