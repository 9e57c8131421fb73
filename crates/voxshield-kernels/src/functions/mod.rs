//! What users call: arguments are checked, then the operation is dispatched to the tensor's device.

mod adam;
mod axes;
mod axis_map;
mod cast;
mod convolution;
mod dice_ce;
mod isc;
mod norm;
mod spd;

pub use adam::adam_step;
pub use axis_map::{AxisMap, map_axes};
pub use cast::{F16_GRADIENT_SCALE, cast};
pub use convolution::{conv_transpose3d, conv3d};
pub use dice_ce::DiceCe;
pub use isc::{IscScaling, inter_slice_divergence, slice_distances};
pub use norm::{NormActivation, instance_norm_act};
pub use spd::semantic_divergence;
