use burn::backend::Cube;

use crate::ops::DivergenceOps;

// The composition.
impl DivergenceOps for Cube {}
