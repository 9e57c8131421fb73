use burn_cubecl::CubeBackend;

use crate::ops::DivergenceOps;

// The composition.
impl DivergenceOps for CubeBackend {}
