use burn::tensor::Tensor;

/// Doubles every size by trilinear interpolation between voxel centres, edges repeated: PyTorch's
/// `interpolate(scale_factor=2, mode="trilinear", align_corners=False)`.
///
/// Along each axis
///
/// ```text
/// y[2 i]     = 0.25 x[i - 1] + 0.75 x[i]
/// y[2 i + 1] = 0.75 x[i] + 0.25 x[i + 1]
/// ```
///
/// # Shapes
///
/// * `x`: `[batch, channel, depth, height, width]`
/// * result: `[batch, channel, 2 depth, 2 height, 2 width]`
pub fn upsample_trilinear(x: Tensor<5>) -> Tensor<5> {
    // Width last: the passes before it then work on fewer voxels with long rows.
    (2..5).fold(x, double)
}

fn double(x: Tensor<5>, axis: usize) -> Tensor<5> {
    let mut shape = x.dims();
    let size = shape[axis];
    let edge = |at| x.clone().narrow(axis, at, 1);
    let inner = |from| x.clone().narrow(axis, from, size - 1);
    let (before, after) = match size {
        1 => (x.clone(), x.clone()),
        _ => (
            Tensor::cat(vec![edge(0), inner(0)], axis),
            Tensor::cat(vec![inner(1), edge(size - 1)], axis),
        ),
    };
    let own = x.mul_scalar(0.75);
    let even = own.clone() + before.mul_scalar(0.25);
    let odd = own + after.mul_scalar(0.25);
    shape[axis] = 2 * size;
    Tensor::stack::<6>(vec![even, odd], axis + 1).reshape(shape)
}
