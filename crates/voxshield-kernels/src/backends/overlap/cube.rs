use burn_cubecl::CubeBackend;

use crate::ops::OverlapOps;

// The composition.
impl OverlapOps for CubeBackend {}
