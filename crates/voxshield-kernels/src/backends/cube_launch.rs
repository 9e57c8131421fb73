//! What the launches of the CubeCL kernels share.

use burn::tensor::{DType, Shape};
use burn_cubecl::{
    cubecl::{client::Client, prelude::*, server::CubeCountSelection},
    ops::numeric::empty_device_contiguous_dtype,
    tensor::CubeTensor,
};

use super::cube_sums::row_sums;

/// Units of a cube that adds: every API has cubes of 256, and sums in shared memory want a power of two.
pub(super) const UNITS: usize = 256;

/// The most parts that a sum is cut into. Fixed, so that the order of additions, and with it the
/// result, does not depend on how many processors a device has.
pub(super) const MAX_PARTS: usize = 1024;

/// Elements that a unit adds before another part pays.
const ELEMENTS: usize = 8;

/// Parts of a sum of `n` elements.
pub(super) fn parts(n: usize) -> usize {
    n.div_ceil(UNITS * ELEMENTS).clamp(1, MAX_PARTS)
}

pub(super) fn cube_dim() -> CubeDim {
    CubeDim::new_1d(UNITS as u32)
}

/// A grid of at least `cubes` cubes, along as many axes as the device's limits ask for; the kernel
/// leaves where `CUBE_POS` is too large.
pub(super) fn grid(client: &Client, cubes: usize) -> CubeCount {
    let cubes = u32::try_from(cubes).expect("fewer than 2^32 cubes");
    CubeCountSelection::new(client, cubes).cube_count()
}

/// The widest index that one of `tensors` asks for.
pub(super) fn addresses(tensors: &[&CubeTensor]) -> AddressType {
    let types = tensors.iter().map(|t| t.required_address_type());
    types.max().unwrap_or_default()
}

/// Whether the kernels, which know `f32` only, can run on these.
pub(super) fn all_f32(tensors: &[&CubeTensor]) -> bool {
    tensors.iter().all(|t| t.dtype == DType::F32)
}

/// Uninitialised `f32` memory beside `like`.
pub(super) fn empty(like: &CubeTensor, shape: impl Into<Shape>) -> CubeTensor {
    let (client, device) = (like.client.clone(), like.device.clone());
    empty_device_contiguous_dtype(client, device, shape.into(), DType::F32)
}

/// `scale` times the sums of the rows of `parts`, a `[shape.., part]` array, as an array of `shape`.
pub(super) fn add_parts(parts: CubeTensor, shape: impl Into<Shape>, scale: f32) -> CubeTensor {
    let sums = empty(&parts, shape);
    let (client, rows) = (sums.client.clone(), sums.meta.num_elements());
    row_sums::launch(
        &client,
        grid(&client, rows),
        cube_dim(),
        addresses(&[&parts]),
        parts.into_buffer_arg(),
        sums.clone().into_buffer_arg(),
        scale,
        UNITS,
    );
    sums
}
