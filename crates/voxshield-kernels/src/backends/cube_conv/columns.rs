use std::ops::Range;

use burn::backend::{cubecl::dtype_to_storage_type, ops::FloatTensorOps};
use burn::tensor::{Shape, Slice};
use burn_cubecl::{
    CubeBackend,
    cubecl::{calculate_cube_count_elemwise, prelude::*},
    kernel::into_contiguous,
    ops::{self, numeric::empty_device_contiguous_dtype},
    tensor::CubeTensor,
};

use super::kernels::{AxisLaunch, TapsLaunch, gather_columns, scatter_columns};
use crate::ops::ConvGeometry;

/// The most elements of a matrix of columns that exist at a time: in f32 the 128 MiB that WebGPU promises to bind,
/// and software Vulkan does not exceed.
const ELEMENTS: usize = 1 << 25;
/// Rows come in multiples of this, so that their matrices begin where a device wants them to.
const ROWS: usize = 64;

/// The matrix `[batch output position, (tap, input channel)]` of a convolution, of which a slab of
/// rows exists at a time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Columns {
    pub(super) batch: usize,
    /// Input channels.
    pub(super) channels: usize,
    pub(super) input: [usize; 3],
    pub(super) output: [usize; 3],
    pub(super) kernel: [usize; 3],
    pub(super) geometry: ConvGeometry,
}

/// A volume `[batch, channel, depth, height, width]` as the matrix `[voxel, channel]`.
pub(super) fn voxel_rows(volume: CubeTensor) -> CubeTensor {
    let shape = volume.meta.shape();
    let rows = shape[0] * shape[2] * shape[3] * shape[4];
    let shape = Shape::from([rows, shape[1]]);
    let volume = into_contiguous(ops::permute_nchw_to_nhwc(volume));
    CubeBackend::float_reshape(volume, shape)
}

pub(super) fn rows_of(matrix: &CubeTensor, rows: Range<usize>) -> CubeTensor {
    let width = matrix.meta.shape()[1];
    CubeBackend::float_slice(matrix.clone(), &[Slice::from(rows), Slice::from(0..width)])
}

impl Columns {
    pub(super) fn taps(&self) -> usize {
        self.kernel.iter().product()
    }

    /// Columns of the matrix.
    pub(super) fn width(&self) -> usize {
        self.taps() * self.channels
    }

    pub(super) fn rows(&self) -> usize {
        self.batch * self.output.iter().product::<usize>()
    }

    /// Whether the matrix is the input itself, `[voxel, channel]`.
    pub(super) fn is_input(&self) -> bool {
        self.taps() == 1 && self.geometry.stride == [1; 3] && self.geometry.padding == [0; 3]
    }

    /// The slabs of rows.
    pub(super) fn slabs(&self) -> impl Iterator<Item = Range<usize>> {
        let all = self.rows();
        let rows = (ELEMENTS / self.width() / ROWS).max(1) * ROWS;
        (0..all)
            .step_by(rows)
            .map(move |first| first..all.min(first + rows))
    }

    fn vector(&self, client: &Client, bytes: usize) -> usize {
        client
            .io_optimized_vector_sizes(bytes)
            .filter(|&size| size <= 4 && self.channels.is_multiple_of(size))
            .max()
            .unwrap_or(1)
    }

    fn launch_taps(&self, vector: usize) -> TapsLaunch {
        let axis = |axis: usize| {
            AxisLaunch::new(
                self.input[axis],
                self.output[axis],
                self.output[axis],
                self.kernel[axis],
                self.kernel[axis],
                self.geometry.stride[axis],
                self.geometry.padding[axis],
                self.geometry.dilation[axis],
            )
        };
        let vectors = self.channels / vector;
        TapsLaunch::new(axis(0), axis(1), axis(2), vectors, vectors)
    }

    /// A slab of the matrix from the input, `[voxel, channel]`.
    pub(super) fn gather(&self, x: &CubeTensor, rows: Range<usize>) -> CubeTensor {
        if self.is_input() {
            return rows_of(x, rows);
        }
        let client = x.client.clone();
        let vector = self.vector(&client, x.elem_size());
        let columns = empty_device_contiguous_dtype(
            client.clone(),
            x.device.clone(),
            Shape::from([rows.len(), self.width()]),
            x.dtype,
        );
        let length = rows.len() * self.width() / vector;
        let dim = CubeDim::new(&client, length);
        gather_columns::launch(
            &client,
            calculate_cube_count_elemwise(&client, length, dim),
            dim,
            x.required_address_type()
                .max(columns.required_address_type()),
            vector,
            x.clone().into_buffer_arg(),
            columns.clone().into_buffer_arg(),
            self.launch_taps(vector),
            rows.start,
            length,
            dtype_to_storage_type(x.dtype),
        );
        columns
    }

    /// Adds a slab of the matrix to where [`gather`](Self::gather) has it from.
    pub(super) fn scatter(&self, columns: CubeTensor, x: &CubeTensor, rows: Range<usize>) {
        let client = x.client.clone();
        let vector = self.vector(&client, x.elem_size());
        let columns = into_contiguous(columns);
        let planes = self.planes(&rows);
        let plane = self.input[1] * self.input[2] * self.channels / vector;
        let length = planes.len() * plane;
        let dim = CubeDim::new(&client, length);
        scatter_columns::launch(
            &client,
            calculate_cube_count_elemwise(&client, length, dim),
            dim,
            x.required_address_type()
                .max(columns.required_address_type()),
            vector,
            columns.into_buffer_arg(),
            x.clone().into_buffer_arg(),
            self.launch_taps(vector),
            rows.start,
            rows.end,
            planes.start * plane,
            length,
            dtype_to_storage_type(x.dtype),
        );
    }

    /// The planes of the input, numbered over the batch, that `rows` may have read.
    fn planes(&self, rows: &Range<usize>) -> Range<usize> {
        let depth = self.input[0];
        let plane_of = |row: usize| {
            let plane = row / (self.output[1] * self.output[2]);
            (plane / self.output[0], plane % self.output[0])
        };
        let (stride, padding) = (self.geometry.stride[0], self.geometry.padding[0]);
        let reach = self.geometry.dilation[0] * (self.kernel[0] - 1);
        let (sample, first) = plane_of(rows.start);
        let start = sample * depth + (first * stride).saturating_sub(padding).min(depth);
        let (sample, last) = plane_of(rows.end - 1);
        let end = (last * stride + reach + 1)
            .saturating_sub(padding)
            .min(depth);
        start..(sample * depth + end).max(start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slabs_cover_the_matrix_and_keep_the_limit() {
        for channels in [1, 3, 24, 96, 768] {
            let columns = Columns {
                batch: 1,
                channels,
                input: [96; 3],
                output: [96; 3],
                kernel: [3; 3],
                geometry: ConvGeometry {
                    stride: [1; 3],
                    padding: [1; 3],
                    dilation: [1; 3],
                },
            };
            let mut next = 0;
            for slab in columns.slabs() {
                assert_eq!(slab.start, next);
                assert!(slab.len() * columns.width() <= ELEMENTS, "{channels}");
                next = slab.end;
            }
            assert_eq!(next, columns.rows());
        }
    }
}
