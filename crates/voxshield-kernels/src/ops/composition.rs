//! The default bodies: a 2D DFT by matrix products with the Hermitian half spectrum.

use burn::backend::{Backend, TensorMetadata, tensor::FloatTensor};
use burn::tensor::{Shape, Slice};

use super::{
    DISTANCE_EPSILON,
    dft::{DftMatrix, column_weights, dft_matrix},
};

/// Smaller amplitudes count as 0, where the gradient of `|F|` is defined as 0.
const TINY: f32 = 1e-30;

struct Spectrum<B: Backend> {
    rows: DftMatrix<B>,
    columns: DftMatrix<B>,
    real: FloatTensor<B>,
    imaginary: FloatTensor<B>,
    /// `[volume, depth, height, half width]`
    amplitude: FloatTensor<B>,
}

/// `[volume, depth, height, width, half width]`; volume = batch x channel.
type Extent = [usize; 5];

fn extent<B: Backend>(x: &FloatTensor<B>) -> Extent {
    let shape = x.shape();
    let (height, width) = (shape[3], shape[4]);
    [shape[0] * shape[1], shape[2], height, width, width / 2 + 1]
}

fn spectrum<B: Backend>(x: FloatTensor<B>) -> Spectrum<B> {
    let [volumes, depth, height, width, half] = extent::<B>(&x);
    let x = B::float_reshape(x, Shape::from(vec![volumes * depth, height, width]));
    let columns = dft_matrix::<B>(width, half, &x);
    let rows = dft_matrix::<B>(height, height, &x);
    let real_rows = B::float_matmul(x.clone(), columns.cos.clone());
    let imaginary_rows = B::float_matmul(x, columns.sin.clone());
    let real = B::float_sub(
        B::float_matmul(rows.cos.clone(), real_rows.clone()),
        B::float_matmul(rows.sin.clone(), imaginary_rows.clone()),
    );
    let imaginary = B::float_add(
        B::float_matmul(rows.cos.clone(), imaginary_rows),
        B::float_matmul(rows.sin.clone(), real_rows),
    );
    let power = B::float_add(
        B::float_mul(real.clone(), real.clone()),
        B::float_mul(imaginary.clone(), imaginary.clone()),
    );
    let amplitude = B::float_reshape(
        B::float_sqrt(power),
        Shape::from(vec![volumes, depth, height, half]),
    );
    Spectrum {
        rows,
        columns,
        real,
        imaginary,
        amplitude,
    }
}

/// `t[:, from..to]` of a `[volume, depth, height, half width]` tensor.
fn slices<B: Backend>(t: &FloatTensor<B>, from: usize, to: usize) -> FloatTensor<B> {
    let mut ranges: Vec<Slice> = t.shape().iter().map(|&n| Slice::from(0..n)).collect();
    ranges[1] = Slice::from(from..to);
    B::float_slice(t.clone(), &ranges)
}

fn amplitude_steps<B: Backend>(amplitude: &FloatTensor<B>, depth: usize) -> FloatTensor<B> {
    B::float_sub(
        slices::<B>(amplitude, 1, depth),
        slices::<B>(amplitude, 0, depth - 1),
    )
}

/// See [`SpectralOps::slice_distances`](super::SpectralOps::slice_distances).
pub fn slice_distances<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    let shape = x.shape();
    let [_, depth, _, width, _] = extent::<B>(&x);
    let weights = column_weights::<B>(width, &x);
    let steps = amplitude_steps::<B>(&spectrum::<B>(x).amplitude, depth);
    let squares = B::float_mul(B::float_mul(steps.clone(), steps), weights);
    let sums = B::float_sum_dim(B::float_sum_dim(squares, 3), 2);
    let distances = B::float_sqrt(B::float_add_scalar(sums, DISTANCE_EPSILON.into()));
    B::float_reshape(distances, Shape::from(vec![shape[0], shape[1], depth - 1]))
}

/// See [`SpectralOps::slice_distances_backward`](super::SpectralOps::slice_distances_backward).
pub fn slice_distances_backward<B: Backend>(
    x: FloatTensor<B>,
    distances: FloatTensor<B>,
    gradient: FloatTensor<B>,
) -> FloatTensor<B> {
    let shape = x.shape();
    let [volumes, depth, height, width, half] = extent::<B>(&x);
    let weights = column_weights::<B>(width, &x);
    let s = spectrum::<B>(x);

    let scale = B::float_reshape(
        B::float_div(gradient, distances),
        Shape::from(vec![volumes, depth - 1, 1, 1]),
    );
    let steps = amplitude_steps::<B>(&s.amplitude, depth);
    let steps = B::float_mul(B::float_mul(steps, weights), scale);

    // Step z pulls slice z + 1 up and slice z down.
    let zero = B::float_mul_scalar(slices::<B>(&s.amplitude, 0, 1), 0f32.into());
    let amplitude_gradient = B::float_sub(
        B::float_cat(vec![zero.clone(), steps.clone()], 1),
        B::float_cat(vec![steps, zero], 1),
    );
    let ratio = B::float_div(
        amplitude_gradient,
        B::float_clamp_min(s.amplitude, TINY.into()),
    );
    let ratio = B::float_reshape(ratio, Shape::from(vec![volumes * depth, height, half]));
    let real = B::float_mul(ratio.clone(), s.real);
    let imaginary = B::float_mul(ratio, s.imaginary);

    // The adjoint of the forward products; the row matrix is symmetric.
    let real_rows = B::float_add(
        B::float_matmul(s.rows.cos.clone(), real.clone()),
        B::float_matmul(s.rows.sin.clone(), imaginary.clone()),
    );
    let imaginary_rows = B::float_sub(
        B::float_matmul(s.rows.cos, imaginary),
        B::float_matmul(s.rows.sin, real),
    );
    let x_gradient = B::float_add(
        B::float_matmul(real_rows, B::float_swap_dims(s.columns.cos, 1, 2)),
        B::float_matmul(imaginary_rows, B::float_swap_dims(s.columns.sin, 1, 2)),
    );
    debug_assert_eq!(x_gradient.shape()[2], width);
    B::float_reshape(x_gradient, shape)
}
