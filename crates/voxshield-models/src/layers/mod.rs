//! Building blocks: seeded convolutions and linear layers, normalisation, activations, attention
//! and residual units.

mod activation;
mod attention;
mod batch_norm;
mod convolution;
mod count;
mod gelu;
mod guarded;
mod instance_norm;
mod layer_norm;
mod linear;
mod mlp;
mod norm;
mod residual_unit;
mod running_statistic;
mod transposed_convolution;
mod unit;
mod weight_rng;

pub use activation::{Activation, ActivationLayer};
pub(crate) use attention::attention_flops;
pub use attention::multi_head_attention;
pub use batch_norm::{BATCH_NORM_EPSILON, BatchNorm};
pub(crate) use convolution::voxels;
pub use convolution::{Conv3d, ConvSpec};
pub(crate) use count::{last_unit_parameters, residual_unit_parameters, up_conv_parameters};
pub use gelu::gelu;
pub use instance_norm::{INSTANCE_NORM_EPSILON, instance_norm};
pub(crate) use layer_norm::{layer_norm, plain_layer_norm};
pub use linear::{Linear, LinearSpec};
pub use mlp::Mlp;
pub(crate) use mlp::mlp_parameters;
pub use norm::{Norm, NormLayer};
pub use residual_unit::ResidualUnit;
pub use running_statistic::RunningStatistic;
pub use transposed_convolution::{ConvTranspose3d, ConvTransposeSpec};
pub use unit::{ConvUnit, UpConvUnit};
pub use weight_rng::{WeightRng, constant};
