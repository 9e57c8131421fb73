//! [`SpectralOps`](crate::ops::SpectralOps) on CubeCL.

mod columns;
mod cube;
mod fft;
mod plan;
mod rows;
