use burn::backend::Cube;

use crate::ops::{ConvOps, SpectralOps};

// The composition: a DFT by matrix products, on the device.
impl SpectralOps for Cube {}

// Burn's own convolutions.
impl ConvOps for Cube {}
