//! Kernels for the devices of CubeCL: CUDA, Vulkan, Metal, WebGPU.
//!
//! | module | answers |
//! |---|---|
//! | `kernels` | what a unit computes |
//! | `plan` | how many of them there are, and how tensors lie in memory |
//! | `launch` | which kernel runs when, on which buffers |
//!
//! Forward and backward take three launches each: sums of the chunks of a map, sums of the map, and
//! one pass that writes the result. Tensors with channels innermost, as Burn's convolutions leave
//! them, are read and written so. Every sum has a fixed order: equal devices give equal bits.

mod kernels;
mod launch;
mod plan;

use burn::backend::{cubecl::dtype_to_storage_type, tensor::FloatTensor};
use burn::tensor::DType;
use burn_cubecl::{
    CubeBackend, cubecl::features::TypeUsage, kernel::into_contiguous, tensor::CubeTensor,
};

use crate::ops::{NormOps, norm::composition};

/// Whether the kernels know the types: all equal, `f32`, or `f16` or `bf16` where the device can
/// store and convert them. Arithmetic and statistics are `f32` then.
fn supported(tensors: &[&CubeTensor]) -> bool {
    let dtype = tensors[0].dtype;
    let known = match dtype {
        DType::F32 => true,
        DType::F16 | DType::BF16 => tensors[0]
            .client
            .properties()
            .type_usage(dtype_to_storage_type(dtype))
            .is_superset(TypeUsage::Buffer | TypeUsage::Conversion),
        _ => false,
    };
    known && tensors.iter().all(|tensor| tensor.dtype == dtype)
}

// Other types, such as `f64`, take the composition, on the same device.
impl NormOps for CubeBackend {
    fn instance_norm_act(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        epsilon: f64,
        slope: f64,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        if !supported(&[&x, &weight, &bias]) {
            return composition::instance_norm_act::<Self>(x, weight, bias, epsilon, slope);
        }
        let [weight, bias] = [weight, bias].map(into_contiguous);
        launch::forward(x, weight, bias, epsilon, slope)
    }

    fn instance_norm_act_backward(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        statistics: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        slope: f64,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        if !supported(&[&x, &weight, &bias, &gradient]) || statistics.dtype != DType::F32 {
            return composition::instance_norm_act_backward::<Self>(
                x, weight, bias, statistics, gradient, slope,
            );
        }
        let [weight, bias, statistics] = [weight, bias, statistics].map(into_contiguous);
        launch::backward(x, weight, bias, statistics, gradient, slope)
    }
}
