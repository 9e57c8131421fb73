//! What an unauthorised user may do to protected files before training, to destroy the perturbation.
//!
//! A defence is one file here, with its [`DefenceEntry`], and one line in [`DEFENCES`]. [`find`]
//! makes one from `name` or `name:strength`, [`resolve`] several, [`GROUPS`] included.
//!
//! The image is expected in 0..1: what clips or rounds (JPEG, bit depth) does so there, as a
//! window-levelled copy of the file would.

mod affine;
mod bit_depth;
mod gamma;
mod gaussian_blur;
mod histogram_match;
mod in_plane_resolution;
mod jpeg;
mod low_resolution;
mod median;
mod median_depth;
mod nl_means;
mod parameter;
mod periodic_mean;
mod random_affine;
mod random_inversion;
mod registry;
mod skip_slices;
mod slab_mean;
mod total_variation;
mod volume;

pub use affine::Affine;
pub use bit_depth::BitDepth;
pub use gamma::Gamma;
pub use gaussian_blur::GaussianBlur;
pub use histogram_match::HistogramMatch;
pub use in_plane_resolution::InPlaneResolution;
pub use jpeg::Jpeg;
pub use low_resolution::LowResolution;
pub use median::Median;
pub use median_depth::MedianDepth;
pub use nl_means::NonLocalMeans;
pub(crate) use parameter::{number, or_default, positive, without_strength};
pub use periodic_mean::PeriodicMean;
pub use random_affine::RandomAffine;
pub use random_inversion::RandomInversion;
pub use registry::{DEFENCES, Defence, DefenceEntry, GROUPS, find, names, resolve};
pub use skip_slices::SkipSlices;
pub use slab_mean::SlabMean;
pub use total_variation::TotalVariation;
pub use volume::LabelledVolume;
