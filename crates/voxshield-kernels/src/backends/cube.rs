use burn_cubecl::CubeBackend;

use crate::ops::{ConvOps, SpectralOps};

// The composition: a DFT by matrix products, on the device.
impl SpectralOps for CubeBackend {}

// Burn's own convolutions.
impl ConvOps for CubeBackend {}
