use burn::backend::{Backend, TensorMetadata, tensor::FloatTensor};
use burn::tensor::{Shape, TensorData};

/// The real and imaginary parts of a DFT matrix as `[1, rows, columns]` tensors.
pub(super) struct DftMatrix<B: Backend> {
    pub(super) cos: FloatTensor<B>,
    pub(super) sin: FloatTensor<B>,
}

/// `exp(-2 pi i x v / n)` for `x` in `0..n` and `v` in `0..columns`.
pub(super) fn dft_matrix<B: Backend>(
    n: usize,
    columns: usize,
    like: &FloatTensor<B>,
) -> DftMatrix<B> {
    // The product is reduced modulo n before the division: at n = 512 an angle of 512 turns
    // would cost three digits of an f32 cosine.
    let angle = |x: usize, v: usize| -2.0 * std::f64::consts::PI * ((x * v) % n) as f64 / n as f64;
    let fill = |f: fn(f64) -> f64| {
        let values: Vec<f32> = (0..n * columns)
            .map(|i| f(angle(i / columns, i % columns)) as f32)
            .collect();
        B::float_from_data(TensorData::new(values, [1, n, columns]), &like.device())
    };
    DftMatrix {
        cos: fill(f64::cos),
        sin: fill(f64::sin),
    }
}

/// How often each column of the half spectrum occurs in the full one, `[1, 1, width / 2 + 1]`.
pub(super) fn column_weights<B: Backend>(width: usize, like: &FloatTensor<B>) -> FloatTensor<B> {
    let columns = width / 2 + 1;
    let weights: Vec<f32> = (0..columns).map(|v| column_weight(width, v)).collect();
    let weights = B::float_from_data(TensorData::new(weights, [1, 1, columns]), &like.device());
    B::float_reshape(weights, Shape::from(vec![1, 1, 1, columns]))
}

/// 1 for the columns that are their own mirror image (0 and, for even widths, width / 2), else 2.
pub(crate) fn column_weight(width: usize, column: usize) -> f32 {
    if column == 0 || 2 * column == width {
        1.0
    } else {
        2.0
    }
}
