//! The default bodies, with a one-hot tensor, on arrays laid out as `[batch, class, voxel]`.

use burn::backend::{
    Backend, TensorMetadata, get_device_settings,
    tensor::{FloatTensor, IntTensor},
};
use burn::tensor::{Shape, Slice};

use super::OVERLAP_SUMS;

/// `logits` as `[batch, class, voxel]` and the one-hot labels of the same shape.
fn prepared<B: Backend>(
    logits: FloatTensor<B>,
    labels: IntTensor<B>,
) -> (FloatTensor<B>, FloatTensor<B>) {
    let shape = logits.shape();
    let (batch, classes) = (shape[0], shape[1]);
    let voxels = shape[2] * shape[3] * shape[4];
    let full = || Shape::from(vec![batch, classes, voxels]);
    let settings = get_device_settings::<B>(&logits.device());
    let index = B::int_arange(0..classes as i64, &logits.device(), labels.dtype().into());
    let index = B::int_reshape(index, Shape::from(vec![1, classes, 1]));
    let labels = B::int_reshape(labels, Shape::from(vec![batch, 1, voxels]));
    let hot = B::int_equal(
        B::int_expand(labels, full()),
        B::int_expand(index, full()),
        settings.bool_dtype,
    );
    let one_hot = B::bool_into_float(hot, logits.dtype().into());
    (B::float_reshape(logits, full()), one_hot)
}

/// See [`OverlapOps::overlap_sums`](super::OverlapOps::overlap_sums).
pub fn overlap_sums<B: Backend>(logits: FloatTensor<B>, labels: IntTensor<B>) -> FloatTensor<B> {
    let (logits, t) = prepared::<B>(logits, labels);
    let log_p = B::log_softmax(logits, 1);
    let p = B::float_exp(log_p.clone());
    let columns = [
        B::float_mul(p.clone(), t.clone()),
        p,
        t.clone(),
        B::float_neg(B::float_mul(log_p, t)),
    ];
    let columns = columns.map(|column| B::float_sum_dim(column, 2));
    B::float_cat(columns.into(), 2)
}

/// See [`OverlapOps::overlap_sums_backward`](super::OverlapOps::overlap_sums_backward).
pub fn overlap_sums_backward<B: Backend>(
    logits: FloatTensor<B>,
    labels: IntTensor<B>,
    gradient: FloatTensor<B>,
) -> FloatTensor<B> {
    let shape = logits.shape();
    let (logits, t) = prepared::<B>(logits, labels);
    let column = |index: usize| {
        debug_assert!(index < OVERLAP_SUMS);
        let ranges = [0..shape[0], 0..shape[1], index..index + 1].map(Slice::from);
        B::float_slice(gradient.clone(), &ranges)
    };
    let p = B::softmax(logits, 1);
    let a = B::float_add(B::float_mul(t.clone(), column(0)), column(1));
    let mean = B::float_sum_dim(B::float_mul(a.clone(), p.clone()), 1);
    let n = B::float_sum_dim(B::float_mul(t.clone(), column(3)), 1);
    let inner = B::float_add(B::float_sub(a, mean), n.clone());
    let out = B::float_sub(B::float_mul(p, inner), B::float_mul(t, n));
    B::float_reshape(out, shape)
}
