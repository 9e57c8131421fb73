use burn::backend::{TensorMetadata, tensor::FloatTensor};
use burn_cubecl::{CubeBackend, cubecl::calculate_cube_count_elemwise, kernel::into_contiguous};

use super::cube_kernel::{distance_parts, signs};
use crate::backends::cube_launch::{
    UNITS, add_parts, addresses, all_f32, cube_dim, empty, grid, parts,
};
use crate::ops::{DivergenceOps, divergence::composition};

impl DivergenceOps for CubeBackend {
    fn mean_distance(a: FloatTensor<Self>, b: FloatTensor<Self>) -> FloatTensor<Self> {
        if !all_f32(&[&a, &b]) {
            return composition::mean_distance::<Self>(a, b);
        }
        let [a, b] = [a, b].map(into_contiguous);
        let client = a.client.clone();
        let n = a.meta.num_elements();
        let sums = empty(&a, [1, parts(n)]);
        distance_parts::launch(
            &client,
            grid(&client, parts(n)),
            cube_dim(),
            addresses(&[&a]),
            a.into_buffer_arg(),
            b.into_buffer_arg(),
            sums.clone().into_buffer_arg(),
            UNITS,
        );
        add_parts(sums, [1], (1.0 / n as f64) as f32)
    }

    fn mean_distance_backward(
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        if !all_f32(&[&a, &b, &gradient]) {
            return composition::mean_distance_backward::<Self>(a, b, gradient);
        }
        let [a, b, gradient] = [a, b, gradient].map(into_contiguous);
        let client = a.client.clone();
        let n = a.meta.num_elements();
        let out = empty(&a, a.shape());
        signs::launch(
            &client,
            calculate_cube_count_elemwise(&client, n, cube_dim()),
            cube_dim(),
            addresses(&[&a]),
            a.into_buffer_arg(),
            b.into_buffer_arg(),
            gradient.into_buffer_arg(),
            out.clone().into_buffer_arg(),
            n as f32,
        );
        out
    }
}
