use burn::module::Module;
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};
use voxshield_models::{ModelError, NamedParameters, NoiseGenerator, Segmenter};

use crate::ContourTexture;

/// Which generator a [`Bilevel`](crate::Bilevel) trains; in JSON the name of the method that it belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GeneratorKind {
    /// [`NoiseGenerator`].
    #[default]
    Voxshield,
    /// [`ContourTexture`].
    Umed3d,
}

impl GeneratorKind {
    /// The method's name in [`METHODS`](crate::METHODS).
    pub const fn method(self) -> &'static str {
        match self {
            Self::Voxshield => "voxshield",
            Self::Umed3d => "umed3d",
        }
    }
}

/// A network that makes the perturbation of a patch or a volume: what N-steps train.
#[derive(Module, Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "there is one at a time, and weights are elsewhere"
)]
pub enum Generator {
    /// VoxShield's: one network, which sees the image alone.
    Noise(NoiseGenerator),
    /// UMed's: one network for the contour of the labelled region and one for its texture.
    ContourTexture(ContourTexture),
}

impl From<NoiseGenerator> for Generator {
    fn from(generator: NoiseGenerator) -> Self {
        Self::Noise(generator)
    }
}

impl Generator {
    /// The perturbation before the support, `|delta| <= epsilon` up to rounding.
    ///
    /// # Shapes
    /// - `image`: `[batch, channel, depth, height, width]`, 0..1; so is the result
    /// - `foreground`: `[batch, 1, depth, height, width]`, 1 where there is a label and 0 elsewhere
    ///
    /// # Panics
    /// Inside a tensor operation, if [`Generator::check_input`] refuses the shape of `image`.
    pub fn forward(&self, image: Tensor<5>, foreground: Tensor<5>) -> Tensor<5> {
        match self {
            Self::Noise(generator) => generator.forward(image),
            Self::ContourTexture(generator) => generator.forward(image, foreground),
        }
    }

    /// What the sizes `[depth, height, width]` of an image have to be multiples of.
    pub fn size_multiple(&self) -> [usize; 3] {
        match self {
            Self::Noise(generator) => generator.unet.size_multiple(),
            Self::ContourTexture(generator) => generator.size_multiple(),
        }
    }

    /// Checks the shape `[batch, channel, depth, height, width]` of an image.
    ///
    /// # Errors
    /// As [`Segmenter::check_input`].
    pub fn check_input(&self, shape: &[usize; 5]) -> Result<(), ModelError> {
        match self {
            Self::Noise(generator) => generator.check_input(shape),
            Self::ContourTexture(generator) => generator.check_input(shape),
        }
    }
}

impl NamedParameters for Generator {
    fn parameter_name(&self, path: &[String]) -> String {
        // The first part is the variant.
        let path = path.get(1..).unwrap_or_default();
        match self {
            Self::Noise(generator) => generator.parameter_name(path),
            Self::ContourTexture(generator) => generator.parameter_name(path),
        }
    }
}
