//! 3D segmentation networks and the noise generator of VoxShield, on Burn.
//!
//! Tensors are `[batch, channel, depth, height, width]`; depth is the slice axis. A network is
//! described by a configuration (`serde`, validated), created from a seed, and used through the
//! traits [`Segmenter`] (predict) and [`Network`] (train, store, load). [`ARCHITECTURES`] lists
//! them by name; [`Architecture::init`] creates one for a [`NetworkSpec`].
//!
//! * [`ResidualUnet`]: the U-Net with residual units of MONAI; the surrogate that a protection is
//!   optimised against, the usual victim, and the body of the noise generator.
//! * [`UnetPlusPlus`], [`AttentionUnet`], [`VNet`], [`SegResNet`]: victims and surrogates of other
//!   kinds, each agreeing with MONAI's network in outputs, gradients and parameter names.
//! * [`NnUnet`]: nnU-Net's networks, plain or with a residual encoder, planned by [`topology`](fn@topology).
//! * [`ConResNet`]: a network that looks at the differences between slices.
//! * [`Unetr`], [`SwinUnetr`]: U-Nets with a transformer as their encoder (MONAI).
//! * [`ARCHITECTURES`]: all of them by name, for what a user asks for.
//! * [`NoiseGenerator`]: `epsilon * tanh(unet(x))`, the perturbation.
//! * [`ContourUnet`]: a U-Net of central differences, UMed's generator for contours.
//! * [`save_weights`], [`load_weights`]: safetensors files and PyTorch checkpoints under the
//!   parameter names of the PyTorch models, so that weights go to and come from PyTorch.
//! * [`SlidingWindow`]: inference on volumes that are larger than a patch.
//!
//! **Weights are a function of the seed alone.** They are drawn on the host from ChaCha8 and are
//! never lazy, so equal seeds give equal weights on every device and in every thread.
//!
//! **Backends** are the features `flex` (CPU) and `cube` (CUDA, Vulkan, Metal, WebGPU; the runtime itself is chosen with Burn's own
//! features), and `fusion`: those of `voxshield-kernels`, which says what they need beside Burn's defaults.
//!
//! **Training and inference.** A network created on `device.autodiff()` records gradients;
//! [`Module::valid`](burn::module::Module::valid) gives a copy without them, and
//! [`Module::train`](burn::module::Module::train) goes back. [`BatchNorm`] and [`ChannelDropout`]
//! behave differently in the two modes: they train on an autodiff device, unless the network is
//! frozen ([`Network::frozen`]).
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use voxshield_models::{ResidualUnetConfig, Segmenter};
//!
//! # fn main() -> Result<(), voxshield_models::ModelError> {
//! let device = Device::default();
//! let network = ResidualUnetConfig::narrow(1, 3).init(7, &device)?;
//! network.check_input(&[2, 1, 8, 16, 16])?;
//! let logits = network.forward(Tensor::zeros([2, 1, 8, 16, 16], &device));
//! assert_eq!(logits.dims(), [2, 3, 8, 16, 16]);
//! # Ok(())
//! # }
//! ```

mod architecture;
mod contour_unet;
mod error;
mod layers;
mod mixed_precision;
mod network;
mod networks;
mod noise_generator;
mod parameters;
mod precision;
mod segmenter;
mod sliding_window;
mod weights;

pub use architecture::{Architecture, NetworkSpec, Width};
pub use contour_unet::{ContourUnet, ContourUnetConfig};
pub use error::{ModelError, ShapeMismatch, WeightsError};
pub use layers::{
    Activation, ActivationLayer, BATCH_NORM_EPSILON, BatchNorm, ChannelDropout, Conv3d, ConvNorm,
    ConvSpec, ConvTranspose3d, ConvTransposeSpec, ConvUnit, INSTANCE_NORM_EPSILON, Linear,
    LinearSpec, Mlp, Norm, NormLayer, ResidualUnit, RunningStatistic, UpConvUnit, WeightRng,
    affine_instance_norm, constant, elu, gelu, instance_norm, max_pool_halving,
    multi_head_attention, upsample_aligned, upsample_trilinear,
};
pub use mixed_precision::MixedPrecision;
pub use network::{Network, input_leaf};
pub use networks::ARCHITECTURES;
pub use networks::attention_unet::{AttentionGate, AttentionUnet, AttentionUnetConfig};
pub use networks::con_res_net::{
    ConResHeads, ConResLevel, ConResNet, ConResNetConfig, PreActivation, PreActivationBlock,
    ResidualInput, slice_difference,
};
pub use networks::nnunet::{
    EncoderStage, NnUnet, NnUnetBlock, NnUnetConfig, NnUnetConv, NnUnetDecoder, NnUnetEncoder,
    NnUnetStages, Topology, topology,
};
pub use networks::residual_unet::{ResidualUnet, ResidualUnetConfig, UpBlock};
pub use networks::seg_res_net::{SegResNet, SegResNetConfig};
pub use networks::swin_unetr::{
    PatchMerging, SwinBlock, SwinStage, SwinUnetr, SwinUnetrConfig, WindowAttention,
};
pub use networks::unet_plus_plus::{UnetPlusPlus, UnetPlusPlusConfig};
pub use networks::unetr::{
    NormedConv, ProjectionBlock, SelfAttention, TransformerBlock, Unetr, UnetrBlock, UnetrConfig,
    UnetrUpBlock, VisionTransformer,
};
pub use networks::v_net::{VNet, VNetConfig};
pub use noise_generator::{NoiseGenerator, NoiseGeneratorConfig};
pub use parameters::{
    NamedParameters, Parameter, TensorMap, describe, gradients, load_parameters, parameter_count,
    parameters,
};
pub use precision::Precision;
pub use segmenter::Segmenter;
pub use sliding_window::{Blend, SlidingWindow};
pub use weights::{
    load_weights, read_description, read_weights, save_weights, write_described_weights,
    write_weights,
};
