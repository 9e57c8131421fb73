use burn::backend::{TensorMetadata, tensor::FloatTensor};
use burn::tensor::DType;
use burn_cubecl::{
    CubeBackend,
    cubecl::{self, calculate_cube_count_elemwise, prelude::*},
    kernel::into_contiguous,
    tensor::CubeTensor,
};

use crate::ops::{AdamOps, AdamStep, adam::composition};

impl AdamOps for CubeBackend {
    fn adam_step(
        weight: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        first: FloatTensor<Self>,
        second: FloatTensor<Self>,
        step: AdamStep,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let all = [&weight, &gradient, &first, &second];
        let elements = weight.shape().num_elements();
        if all.iter().any(|tensor| tensor.dtype() != DType::F32) || elements == 0 {
            return composition::adam_step::<Self>(weight, gradient, first, second, step);
        }
        let [weight, first, second] = [weight, first, second].map(writable);
        let gradient = into_contiguous(gradient);
        let client = weight.client.clone();
        let cube_dim = CubeDim::new(&client, elements);
        let cube_count = calculate_cube_count_elemwise(&client, elements, cube_dim);
        let [rate, scale] = step.corrections();
        adam_kernel::launch(
            &client,
            cube_count,
            cube_dim,
            weight.clone().into_buffer_arg(),
            gradient.into_buffer_arg(),
            first.clone().into_buffer_arg(),
            second.clone().into_buffer_arg(),
            FactorsLaunch::new(
                step.decay as f32,
                step.beta_1 as f32,
                (1.0 - step.beta_1) as f32,
                step.beta_2 as f32,
                (1.0 - step.beta_2) as f32,
                rate as f32,
                scale as f32,
                step.epsilon as f32,
            ),
        );
        (weight, first, second)
    }
}

/// `tensor` in memory order and held by nobody else: itself, or a copy.
fn writable(tensor: CubeTensor) -> CubeTensor {
    let tensor = into_contiguous(tensor);
    if tensor.can_mut() {
        tensor
    } else {
        tensor.copy()
    }
}

#[derive(CubeLaunch, CubeType)]
struct Factors {
    decay: f32,
    beta_1: f32,
    rest_1: f32,
    beta_2: f32,
    rest_2: f32,
    rate: f32,
    scale: f32,
    epsilon: f32,
}

/// One element a unit; the loads are coalesced, and the pass is bound by memory.
#[cube(launch)]
fn adam_kernel(
    weight: &mut [f32],
    gradient: &[f32],
    first: &mut [f32],
    second: &mut [f32],
    factors: &Factors,
) {
    let at = ABSOLUTE_POS;
    if at < weight.len() {
        let w = weight[at];
        let g = gradient[at] + w * factors.decay;
        let m = first[at] * factors.beta_1 + g * factors.rest_1;
        let v = second[at] * factors.beta_2 + g * g * factors.rest_2;
        first[at] = m;
        second[at] = v;
        weight[at] = w - m * factors.rate / (v.sqrt() / factors.scale + factors.epsilon);
    }
}
