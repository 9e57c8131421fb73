use burn::backend::Cube;

use crate::ops::OverlapOps;

// The composition.
impl OverlapOps for Cube {}
