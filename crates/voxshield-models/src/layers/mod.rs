//! Building blocks: seeded convolutions and linear layers, normalisation, activations, attention
//! and residual units.

mod activation;
mod attention;
mod batch_norm;
mod conv_norm;
mod convolution;
mod count;
mod dropout;
mod elu;
mod gelu;
mod group_norm;
mod guarded;
mod he;
mod instance_norm;
mod layer_norm;
mod linear;
mod max_pool;
mod mlp;
mod norm;
mod residual_unit;
mod running_statistic;
mod transposed_convolution;
mod unit;
mod upsample;
mod upsample_aligned;
mod weight_rng;

pub use activation::{Activation, ActivationLayer};
pub(crate) use attention::attention_flops;
pub use attention::multi_head_attention;
pub use batch_norm::{BATCH_NORM_EPSILON, BatchNorm};
pub use conv_norm::ConvNorm;
pub(crate) use convolution::voxels;
pub use convolution::{Conv3d, ConvSpec};
pub(crate) use count::{
    conv_unit_parameters, last_unit_parameters, residual_unit_parameters, up_conv_parameters,
};
pub use dropout::ChannelDropout;
pub use elu::elu;
pub use gelu::gelu;
pub(crate) use group_norm::{group_norm, group_norm_relu};
pub(crate) use instance_norm::normalise_and_activate;
pub use instance_norm::{INSTANCE_NORM_EPSILON, affine_instance_norm, instance_norm};
pub(crate) use layer_norm::{layer_norm, plain_layer_norm};
pub use linear::{Linear, LinearSpec};
pub use max_pool::max_pool_halving;
pub use mlp::Mlp;
pub(crate) use mlp::mlp_parameters;
pub use norm::{Norm, NormLayer};
pub use residual_unit::ResidualUnit;
pub use running_statistic::RunningStatistic;
pub use transposed_convolution::{ConvTranspose3d, ConvTransposeSpec};
pub use unit::{ConvUnit, UpConvUnit};
pub use upsample::upsample_trilinear;
pub use upsample_aligned::upsample_aligned;
pub use weight_rng::{WeightRng, constant};
