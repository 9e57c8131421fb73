use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use crate::{ARCHITECTURES, ModelError, Network};

/// How wide a network is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Width {
    /// A few channels: trains on a CPU in minutes.
    #[default]
    Narrow,
    /// As published.
    Full,
}

/// What a network is built for; each architecture takes from it what it needs.
#[derive(Debug, Clone, PartialEq)]
pub struct NetworkSpec {
    /// Channels of the input: 1 for CT or one MRI sequence, 4 for BraTS.
    pub in_channels: usize,
    /// Classes of the output, background included.
    pub classes: usize,
    /// Patch size `[depth, height, width]` in voxels. nnU-Net's networks take their depth from it,
    /// UNETR its table of positions.
    pub patch: [usize; 3],
    /// Voxel spacing `[depth, height, width]` in millimetres, for nnU-Net's kernels and strides.
    pub spacing: [f64; 3],
    /// How wide it is.
    pub width: Width,
}

impl NetworkSpec {
    /// A narrow network on 32^3 patches with isotropic voxels of 1 mm.
    pub fn new(in_channels: usize, classes: usize) -> Self {
        Self {
            in_channels,
            classes,
            patch: [32; 3],
            spacing: [1.0; 3],
            width: Width::Narrow,
        }
    }
}

/// How an [`Architecture`] makes its network.
pub(crate) type Build = fn(&NetworkSpec, u64, &Device) -> Result<Box<dyn Network>, ModelError>;

/// An entry of [`ARCHITECTURES`].
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Architecture {
    /// The name by which users ask for it, in kebab case.
    pub name: &'static str,
    /// What it is, in one line.
    pub title: &'static str,
    /// The implementation whose numbers it reproduces, and the paper.
    pub source: &'static str,
    pub(crate) build: Build,
}

impl Architecture {
    /// The architecture called `name`.
    ///
    /// # Errors
    ///
    /// [`ModelError::UnknownNetwork`], with the names there are.
    pub fn find(name: &str) -> Result<&'static Self, ModelError> {
        let mut all = ARCHITECTURES.iter();
        all.find(|architecture| architecture.name == name)
            .ok_or_else(|| ModelError::UnknownNetwork {
                found: name.to_string(),
                known: ARCHITECTURES.iter().map(|known| known.name).collect(),
            })
    }

    /// Creates the network on `device` with weights drawn from `seed`.
    ///
    /// # Errors
    ///
    /// [`ModelError`] if no such network fits `spec`.
    pub fn init(
        &self,
        spec: &NetworkSpec,
        seed: u64,
        device: &Device,
    ) -> Result<Box<dyn Network>, ModelError> {
        (self.build)(spec, seed, device)
    }
}
