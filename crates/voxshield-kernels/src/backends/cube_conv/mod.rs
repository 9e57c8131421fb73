//! [`ConvOps`] on the devices of CubeCL.
//!
//! Burn 0.22 computes a transposed 3D convolution with one unit per output voxel, which is wrong for
//! some strides (`docs/notes/cube-convolutions.md`), and, unless its autotuning is compiled in, the
//! weight's gradient as a convolution with a kernel as large as the volume. Here both are matrix
//! products (Burn's, with matrix units where the device has them) with the matrix of columns, a slab
//! of it at a time, so that memory does not grow with the volume. The convolution itself is Burn's.

mod columns;
mod kernels;

use burn::backend::{ops::FloatTensorOps, tensor::FloatTensor};
use burn::tensor::Shape;
use burn_cubecl::{
    CubeBackend,
    kernel::into_contiguous,
    ops::{self, numeric::zeros_client},
    tensor::CubeTensor,
};

use crate::ops::{Bias, ConvGeometry, ConvOps};
use columns::{Columns, rows_of, voxel_rows};

/// Rows of one product of a weight's gradient: with all rows in one, a few units would add them all.
const ROWS_OF_A_PRODUCT: usize = 2048;

/// `[out, in, depth, height, width]` as `[out, (tap, in)]`.
fn weight_matrix(weight: CubeTensor) -> CubeTensor {
    let shape = weight.meta.shape();
    let shape = Shape::from([shape[0], shape[1..].iter().product()]);
    let weight = into_contiguous(ops::permute_nchw_to_nhwc(weight));
    CubeBackend::float_reshape(weight, shape)
}

fn sizes_of(volume: &CubeTensor) -> [usize; 3] {
    let shape = volume.meta.shape();
    [shape[2], shape[3], shape[4]]
}

impl ConvOps for CubeBackend {
    fn convolve_adjoint(
        y: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: Bias<Self>,
        sizes: [usize; 3],
        geometry: ConvGeometry,
    ) -> FloatTensor<Self> {
        let columns = Columns {
            batch: y.meta.shape()[0],
            channels: weight.meta.shape()[1],
            input: sizes,
            output: sizes_of(&y),
            kernel: sizes_of(&weight),
            geometry,
        };
        let weight = weight_matrix(weight);
        let y = voxel_rows(y);
        let [depth, height, width] = sizes;
        let shape = [columns.batch, depth, height, width, columns.channels];
        let x = if columns.is_input() {
            let x = Self::float_matmul(y, weight);
            Self::float_reshape(x, Shape::from(shape))
        } else {
            let (client, device) = (y.client.clone(), y.device.clone());
            let x = zeros_client(client, device, Shape::from(shape), y.dtype);
            let x = into_contiguous(x);
            for rows in columns.slabs() {
                let product = Self::float_matmul(rows_of(&y, rows.clone()), weight.clone());
                columns.scatter(product, &x, rows);
            }
            x
        };
        let x = ops::permute_nhwc_to_nchw(x);
        match bias.values() {
            None => x,
            Some(bias) => {
                let shape = Shape::from([1, columns.channels, 1, 1, 1]);
                Self::float_add(x, Self::float_reshape(bias, shape))
            }
        }
    }

    fn convolve_weight_gradient(
        x: FloatTensor<Self>,
        y: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        geometry: ConvGeometry,
    ) -> FloatTensor<Self> {
        let columns = Columns {
            batch: x.meta.shape()[0],
            channels: x.meta.shape()[1],
            input: sizes_of(&x),
            output: sizes_of(&y),
            kernel: sizes_of(&weight),
            geometry,
        };
        let out = y.meta.shape()[1];
        let (x, y) = (voxel_rows(x), voxel_rows(y));
        let mut sum: Option<CubeTensor> = None;
        for rows in columns.slabs() {
            let part = product(
                rows_of(&y, rows.clone()),
                columns.gather(&x, rows),
                out,
                columns.width(),
            );
            sum = Some(match sum {
                None => part,
                Some(sum) => Self::float_add(sum, part),
            });
        }
        let [depth, height, width] = columns.kernel;
        match sum {
            Some(sum) => {
                let shape = Shape::from([out, depth, height, width, columns.channels]);
                ops::permute_nhwc_to_nchw(Self::float_reshape(sum, shape))
            }
            // No rows: nothing was convolved.
            None => zeros_client(
                weight.client.clone(),
                weight.device.clone(),
                weight.meta.shape().clone(),
                weight.dtype,
            ),
        }
    }
}

/// `y^T columns`, `[out, width]`, over all rows; in several products if there are many.
fn product(y: CubeTensor, columns: CubeTensor, out: usize, width: usize) -> CubeTensor {
    let rows = y.meta.shape()[0];
    let wanted = (rows / ROWS_OF_A_PRODUCT).max(1);
    let parts = (1..=wanted)
        .rev()
        .find(|n| rows.is_multiple_of(*n))
        .unwrap_or(1);
    let split = |matrix, width| {
        CubeBackend::float_reshape(matrix, Shape::from([parts, rows / parts, width]))
    };
    let y = CubeBackend::float_swap_dims(split(y, out), 1, 2);
    let products = CubeBackend::float_matmul(y, split(columns, width));
    let sum = CubeBackend::float_sum_dim(products, 0);
    CubeBackend::float_reshape(sum, Shape::from([out, width]))
}
