use burn::backend::{
    TensorMetadata,
    cubecl::dtype_to_storage_type,
    tensor::{FloatTensor, IntTensor},
};
use burn_cubecl::{CubeBackend, cubecl::calculate_cube_count_elemwise, kernel::into_contiguous};

use super::cube_kernel::{overlap_gradient, overlap_parts};
use crate::backends::cube_launch::{
    UNITS, add_parts, addresses, all_f32, cube_dim, empty, grid, parts,
};
use crate::ops::{
    OverlapOps,
    overlap::{OVERLAP_SUMS, composition},
};

/// The most classes of one cube: their sums are kept in registers, 4 a class.
const GROUP: usize = 8;

impl OverlapOps for CubeBackend {
    fn overlap_sums(logits: FloatTensor<Self>, labels: IntTensor<Self>) -> FloatTensor<Self> {
        if !all_f32(&[&logits]) {
            return composition::overlap_sums::<Self>(logits, labels);
        }
        let [logits, labels] = [logits, labels].map(into_contiguous);
        let client = logits.client.clone();
        let shape = logits.shape();
        let (batch, classes) = (shape[0], shape[1]);
        let voxels = shape[2] * shape[3] * shape[4];
        let group = classes.min(GROUP);
        let count = parts(voxels);
        let sums = empty(&logits, [batch, classes, OVERLAP_SUMS, count]);
        let label_type = dtype_to_storage_type(labels.dtype);
        overlap_parts::launch(
            &client,
            grid(&client, batch * classes.div_ceil(group) * count),
            cube_dim(),
            addresses(&[&logits, &labels]),
            logits.into_buffer_arg(),
            labels.into_buffer_arg(),
            sums.clone().into_buffer_arg(),
            classes,
            voxels,
            group,
            UNITS,
            label_type,
        );
        add_parts(sums, [batch, classes, OVERLAP_SUMS], 1.0)
    }

    fn overlap_sums_backward(
        logits: FloatTensor<Self>,
        labels: IntTensor<Self>,
        gradient: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        if !all_f32(&[&logits, &gradient]) {
            return composition::overlap_sums_backward::<Self>(logits, labels, gradient);
        }
        let [logits, labels, gradient] = [logits, labels, gradient].map(into_contiguous);
        let client = logits.client.clone();
        let shape = logits.shape();
        let classes = shape[1];
        let voxels = shape[2] * shape[3] * shape[4];
        let out = empty(&logits, shape);
        let label_type = dtype_to_storage_type(labels.dtype);
        overlap_gradient::launch(
            &client,
            calculate_cube_count_elemwise(&client, labels.meta.num_elements(), cube_dim()),
            cube_dim(),
            addresses(&[&logits, &labels]),
            logits.into_buffer_arg(),
            labels.into_buffer_arg(),
            gradient.into_buffer_arg(),
            out.clone().into_buffer_arg(),
            classes,
            voxels,
            label_type,
        );
        out
    }
}
