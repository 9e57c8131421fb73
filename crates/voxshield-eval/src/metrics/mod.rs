//! Scores on host arrays, in `f64`.
//!
//! * Segmentations: [`Overlap`] with [`dice`] and [`iou`], [`SurfaceDistances`], and
//!   [`RegionEvaluation`] over a dataset.
//! * Visibility of a perturbation: [`psnr`], [`ssim`], both also inside a mask, [`psnr_in_percentiles`], [`NoiseMetrics`],
//!   and [`depth_power`], the spectrum along the slices.

mod classes;
mod distance;
mod noise;
mod overlap;
mod quality;
mod region;
mod spectrum;
mod ssim;
mod surface;
mod window;

pub use classes::argmax;
pub use noise::NoiseMetrics;
pub use overlap::{Overlap, dice, iou};
pub use quality::{psnr, psnr_in_percentiles, psnr_inside};
pub use region::{Region, RegionEvaluation, RegionReport, RegionScore};
pub use spectrum::depth_power;
pub use ssim::{ssim, ssim_in_range, ssim_inside};
pub use surface::SurfaceDistances;

use crate::shape::{same_length, volumes, voxels};
