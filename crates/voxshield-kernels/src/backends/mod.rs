mod adam;
mod autodiff;
mod autodiff_conv;
#[cfg(feature = "cube")]
mod cube;
#[cfg(feature = "cube")]
mod cube_launch;
#[cfg(feature = "cube")]
mod cube_sums;
mod divergence;
#[cfg(feature = "flex")]
mod flex;
#[cfg(feature = "flex")]
mod flex_conv;
mod gradient_scale;
#[cfg(feature = "flex")]
mod lanes;
mod norm;
mod overlap;
#[cfg(feature = "flex")]
mod row_pairs;
#[cfg(feature = "cube")]
mod spectral;
