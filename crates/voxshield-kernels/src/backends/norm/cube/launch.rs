//! From tensors to launches.

use burn::backend::cubecl::dtype_to_storage_type;
use burn::tensor::{DType, Shape};
use burn_cubecl::{
    cubecl::prelude::*, ops::numeric::empty_device_contiguous_dtype, tensor::CubeTensor,
};

use super::{
    kernels,
    plan::{Layout, Plan, cubes},
};

/// A tensor of `shape` without gaps, beside `like`; its values are anything.
fn empty(like: &CubeTensor, shape: impl Into<Shape>, dtype: DType) -> CubeTensor {
    let (client, device) = (like.client.clone(), like.device.clone());
    empty_device_contiguous_dtype(client, device, shape.into(), dtype)
}

fn arg(tensor: &CubeTensor) -> BufferArg {
    tensor.clone().into_buffer_arg()
}

/// See [`NormOps::instance_norm_act`](crate::ops::NormOps::instance_norm_act).
pub(super) fn forward(
    x: CubeTensor,
    weight: CubeTensor,
    bias: CubeTensor,
    epsilon: f64,
    slope: f64,
) -> (CubeTensor, CubeTensor) {
    let (client, dtype) = (x.client.clone(), dtype_to_storage_type(x.dtype));
    let layout = Layout::of(&x);
    let plan = Plan::new(&client, x.meta.shape(), x.elem_size(), layout);
    let x = layout.arrange(x);
    let address = x.required_address_type();

    let partial = empty(&x, [plan.maps(), plan.chunks, 2], DType::F32);
    let shifts = empty(&x, [plan.maps()], DType::F32);
    kernels::chunk_statistics::launch(
        &client,
        plan.cube_count(&client),
        plan.cube_dim(),
        address,
        plan.vector,
        arg(&x),
        arg(&shifts),
        arg(&partial),
        plan.grid(),
        plan.walk,
        dtype,
    );

    let statistics = empty(&x, [2, plan.batch, plan.channels], DType::F32);
    let units = plan.joining_units(&client);
    kernels::join_statistics::launch(
        &client,
        cubes(&client, plan.maps()),
        CubeDim::new_1d(units as u32),
        shifts.into_buffer_arg(),
        partial.into_buffer_arg(),
        arg(&statistics),
        plan.voxels,
        plan.chunk_voxels,
        epsilon as f32,
        units,
    );

    let y = empty(&x, x.meta.shape().clone(), x.dtype);
    kernels::normalise::launch(
        &client,
        plan.cube_count(&client),
        plan.cube_dim(),
        address,
        plan.vector,
        x.into_buffer_arg(),
        weight.into_buffer_arg(),
        bias.into_buffer_arg(),
        arg(&statistics),
        arg(&y),
        plan.grid(),
        plan.channels,
        slope as f32,
        plan.walk,
        dtype,
    );
    (layout.restore(y), statistics)
}

/// See
/// [`NormOps::instance_norm_act_backward`](crate::ops::NormOps::instance_norm_act_backward).
pub(super) fn backward(
    x: CubeTensor,
    weight: CubeTensor,
    bias: CubeTensor,
    statistics: CubeTensor,
    gradient: CubeTensor,
    slope: f64,
) -> (CubeTensor, CubeTensor, CubeTensor) {
    let (client, dtype) = (x.client.clone(), dtype_to_storage_type(x.dtype));
    let layout = Layout::of(&x);
    let plan = Plan::new(&client, x.meta.shape(), x.elem_size(), layout);
    let (x, gradient) = (layout.arrange(x), layout.arrange(gradient));
    let address = x.required_address_type();

    let partial = empty(&x, [plan.maps(), plan.chunks, 2], DType::F32);
    kernels::chunk_gradients::launch(
        &client,
        plan.cube_count(&client),
        plan.cube_dim(),
        address,
        plan.vector,
        arg(&x),
        arg(&gradient),
        arg(&weight),
        arg(&bias),
        arg(&statistics),
        arg(&partial),
        plan.grid(),
        plan.channels,
        slope as f32,
        plan.walk,
        dtype,
    );

    let sums = empty(&x, [plan.maps(), 2], DType::F32);
    let weight_gradient = empty(&x, [plan.channels], x.dtype);
    let bias_gradient = empty(&x, [plan.channels], x.dtype);
    let units = plan.joining_units(&client);
    kernels::join_gradients::launch(
        &client,
        cubes(&client, plan.channels),
        CubeDim::new_1d(units as u32),
        partial.into_buffer_arg(),
        arg(&sums),
        arg(&weight_gradient),
        arg(&bias_gradient),
        plan.chunks,
        units,
        dtype,
    );

    let x_gradient = empty(&x, x.meta.shape().clone(), x.dtype);
    kernels::input_gradient::launch(
        &client,
        plan.cube_count(&client),
        plan.cube_dim(),
        address,
        plan.vector,
        x.into_buffer_arg(),
        gradient.into_buffer_arg(),
        weight.into_buffer_arg(),
        bias.into_buffer_arg(),
        statistics.into_buffer_arg(),
        sums.into_buffer_arg(),
        arg(&x_gradient),
        plan.grid(),
        plan.channels,
        plan.voxels as f32,
        slope as f32,
        plan.walk,
        dtype,
    );
    (layout.restore(x_gradient), weight_gradient, bias_gradient)
}
