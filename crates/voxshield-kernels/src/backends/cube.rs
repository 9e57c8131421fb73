use burn::backend::Cube;

use crate::ops::ConvOps;

// Burn's own convolutions.
impl ConvOps for Cube {}
