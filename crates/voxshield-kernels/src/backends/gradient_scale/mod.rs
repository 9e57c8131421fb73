//! [`GradientScaleOps`](crate::ops::GradientScaleOps), backend by backend: only autodiff does anything.

mod autodiff;

#[cfg(feature = "cube")]
impl crate::ops::GradientScaleOps for burn_cubecl::CubeBackend {}

#[cfg(feature = "flex")]
impl crate::ops::GradientScaleOps for burn::backend::Flex {}
