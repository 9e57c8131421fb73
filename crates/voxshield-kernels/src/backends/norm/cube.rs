use burn_cubecl::CubeBackend;

use crate::ops::NormOps;

// The composition.
impl NormOps for CubeBackend {}
