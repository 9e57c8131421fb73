//! 3D segmentation networks and the noise generator of VoxShield, on Burn.
//!
//! Tensors are `[batch, channel, depth, height, width]`; depth is the slice axis. A network is
//! described by a configuration (`serde`, validated), created with [`ResidualUnetConfig::init`]
//! from a seed, and used through the [`Segmenter`] trait.
//!
//! * [`ResidualUnet`]: the U-Net with residual units of MONAI; the surrogate that a protection is
//!   optimised against, the usual victim, and the body of the noise generator.
//! * [`Unetr`], [`SwinUnetr`]: U-Nets with a transformer as their encoder (MONAI).
//! * [`NoiseGenerator`]: `epsilon * tanh(unet(x))`, the perturbation.
//! * [`save_weights`], [`load_weights`]: safetensors files under MONAI's parameter names, so that
//!   weights go to and come from PyTorch.
//!
//! **Weights are a function of the seed alone.** They are drawn on the host from ChaCha8 and are
//! never lazy, so equal seeds give equal weights on every device and in every thread.
//!
//! **Training and inference.** A network created on `device.autodiff()` records gradients;
//! [`Module::valid`](burn::module::Module::valid) gives a copy without them, and
//! [`Module::train`](burn::module::Module::train) goes back. Only networks with [`BatchNorm`] behave
//! differently in the two modes.
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
mod error;
mod layers;
mod network;
mod networks;
mod noise_generator;
mod parameters;
mod segmenter;
mod weights;

pub use architecture::{Architecture, NetworkSpec, Width};
pub use error::{ModelError, ShapeMismatch, WeightsError};
pub use layers::{
    Activation, ActivationLayer, BATCH_NORM_EPSILON, BatchNorm, Conv3d, ConvSpec, ConvTranspose3d,
    ConvTransposeSpec, ConvUnit, INSTANCE_NORM_EPSILON, Linear, LinearSpec, Mlp, Norm, NormLayer,
    ResidualUnit, RunningStatistic, UpConvUnit, WeightRng, constant, gelu, instance_norm,
    multi_head_attention,
};
pub use network::Network;
pub use networks::ARCHITECTURES;
pub use networks::residual_unet::{ResidualUnet, ResidualUnetConfig, UpBlock};
pub use networks::swin_unetr::{
    PatchMerging, SwinBlock, SwinStage, SwinUnetr, SwinUnetrConfig, WindowAttention,
};
pub use networks::unetr::{
    NormedConv, ProjectionBlock, SelfAttention, TransformerBlock, Unetr, UnetrBlock, UnetrConfig,
    UnetrUpBlock, VisionTransformer,
};
pub use noise_generator::{NoiseGenerator, NoiseGeneratorConfig};
pub use parameters::{
    NamedParameters, Parameter, TensorMap, describe, gradients, load_parameters, parameter_count,
    parameters,
};
pub use segmenter::Segmenter;
pub use weights::{load_weights, save_weights};
