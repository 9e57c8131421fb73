use burn_cubecl::CubeBackend;

use crate::ops::ConvOps;

// Burn's own convolutions.
impl ConvOps for CubeBackend {}
