use burn::tensor::{Int, Tensor};
use rand::{Rng, RngExt};

use super::{
    affine::Affine, blur::Blur, depth_mean::DepthMean, gamma::Gamma, low_resolution::LowResolution,
    mirror::Mirror,
};

/// A kind of random change. What victims do to their patches, or to their files, without knowing of the protection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Family {
    /// Rotation about every axis by up to 15 degrees and scaling by 0.85 to 1.18, linear; labels nearest.
    Affine,
    /// Every axis is mirrored or not.
    Mirror,
    /// Gaussian blur of 0.5 to 1.5 voxels.
    Blur,
    /// Down to 0.5 to 1 of the resolution (nearest) and up again (linear).
    LowResolution,
    /// The mean of two or three neighbouring slices.
    DepthMean,
    /// Intensities to the power of 0.7 to 1.5.
    Gamma,
}

/// A change whose random numbers are drawn, of one sample.
pub(super) trait Change: Send {
    /// `[1, channel, depth, height, width]`, 0..1.
    fn image(&self, x: Tensor<5>) -> Tensor<5>;

    /// `[1, depth, height, width]`; unchanged where voxels stay in their places.
    fn labels(&self, y: Tensor<4, Int>) -> Tensor<4, Int> {
        y
    }
}

impl Family {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Affine,
        Self::Mirror,
        Self::Blur,
        Self::LowResolution,
        Self::DepthMean,
        Self::Gamma,
    ];

    /// The name by which users ask for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Affine => "affine",
            Self::Mirror => "mirror",
            Self::Blur => "blur",
            Self::LowResolution => "low-resolution",
            Self::DepthMean => "depth-mean",
            Self::Gamma => "gamma",
        }
    }

    pub(super) fn draw(self, rng: &mut impl Rng) -> Box<dyn Change> {
        match self {
            Self::Affine => Box::new(Affine::draw(rng)),
            Self::Mirror => Box::new(Mirror::draw(rng)),
            Self::Blur => Box::new(Blur::draw(rng)),
            Self::LowResolution => Box::new(LowResolution::draw(rng)),
            Self::DepthMean => Box::new(DepthMean::draw(rng)),
            Self::Gamma => Box::new(Gamma::draw(rng)),
        }
    }
}

pub(super) fn uniform(rng: &mut impl Rng, lo: f64, hi: f64) -> f64 {
    lo + (hi - lo) * rng.random::<f64>()
}
