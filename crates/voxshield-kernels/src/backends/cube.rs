use burn::backend::Cube;

use crate::ops::SpectralOps;

// The composition: a DFT by matrix products, on the device.
impl SpectralOps for Cube {}
