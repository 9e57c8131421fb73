mod autodiff;
mod autodiff_conv;
#[cfg(feature = "cube")]
mod cube;
#[cfg(feature = "cube")]
mod cube_conv;
mod divergence;
#[cfg(feature = "flex")]
mod flex;
#[cfg(feature = "flex")]
mod flex_conv;
#[cfg(feature = "flex")]
mod lanes;
mod norm;
mod overlap;
