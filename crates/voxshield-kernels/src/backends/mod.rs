mod adam;
mod autodiff;
mod autodiff_conv;
#[cfg(feature = "cube")]
mod cube;
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
