use std::{fmt, str::FromStr};

use burn::tensor::{DType, Device, FloatDType, Tensor};
use serde::{Deserialize, Serialize};
use voxshield_kernels::cast;

use crate::{MixedPrecision, ModelError, Network};

/// The type of the activations of a network: what its layers read and write.
///
/// Weights, their gradients, the optimiser, losses and the statistics of normalisations are `f32`
/// whatever the precision. Half the bytes an activation means half the memory and, on hardware with
/// matrix units for the type, several times the speed; the price is the rounding of each activation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 32 bits: 24 bits of significand. Every device has it.
    #[default]
    F32,
    /// 16 bits with the range of `f32` and 8 bits of significand (bfloat16): gradients need no
    /// scaling. CUDA since Ampere has matrix units for it.
    Bf16,
    /// 16 bits with 11 bits of significand and the range 6e-8 to 65504 (IEEE half): for devices without
    /// bfloat16. Gradients are scaled where they enter and leave, see [`cast`]; a network whose
    /// activations leave the range gives infinite losses.
    F16,
}

impl Precision {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::F32, Self::Bf16, Self::F16];

    /// The name to give: `f32`, `bf16` or `f16`.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::F16 => "f16",
        }
    }

    /// Burn's name of the type.
    pub fn dtype(self) -> FloatDType {
        match self {
            Self::F32 => FloatDType::F32,
            Self::Bf16 => FloatDType::BF16,
            Self::F16 => FloatDType::F16,
        }
    }

    /// Checks that `device` computes with the type, conversion, arithmetic and dot products included.
    ///
    /// # Errors
    ///
    /// [`ModelError::Precision`] if it does not; nothing falls back to another type.
    pub fn check(self, device: &Device) -> Result<(), ModelError> {
        match device.supports_dtype(DType::from(self.dtype())) {
            true => Ok(()),
            false => Err(ModelError::Precision {
                precision: self,
                device: format!("{:?}", device.clone().without_autodiff()),
            }),
        }
    }

    /// `network` with activations of this type, which takes and gives `f32` as before; `network`
    /// itself for [`Precision::F32`].
    pub fn apply(self, network: Box<dyn Network>) -> Box<dyn Network> {
        match self {
            Self::F32 => network,
            half => Box::new(MixedPrecision::new(network, half)),
        }
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Precision {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|known| known.name() == name);
        found.ok_or_else(|| format!("'{name}': expected f32, bf16 or f16"))
    }
}

/// `t` in the type of `x`: how a layer brings its weights to the precision of its input.
pub(crate) fn like<const D: usize, const E: usize>(t: Tensor<D>, x: &Tensor<E>) -> Tensor<D> {
    cast(t, x.dtype())
}

/// `f` in `f32`, whatever the type of `x`, which the result has again: for sums over many values
/// and for functions that lose too much in few bits.
pub(crate) fn in_f32<const D: usize>(
    x: Tensor<D>,
    f: impl FnOnce(Tensor<D>) -> Tensor<D>,
) -> Tensor<D> {
    let dtype = x.dtype();
    cast(f(cast(x, FloatDType::F32)), dtype)
}
