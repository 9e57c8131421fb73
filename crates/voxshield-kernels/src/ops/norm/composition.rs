//! The default bodies, on maps laid out as `[batch, channel, voxel]`; volumes of
//! half precision in `f32`, because statistics are sums over all voxels of a map.

use burn::backend::{Backend, TensorMetadata, get_device_settings, tensor::FloatTensor};
use burn::tensor::{DType, FloatDType, Shape, Slice};

/// `[channel]` to `[1, channel, 1]`, widened.
fn per_channel<B: Backend>(t: FloatTensor<B>) -> FloatTensor<B> {
    let channels = t.shape()[0];
    B::float_reshape(widened::<B>(t), Shape::from(vec![1, channels, 1]))
}

/// In `f32` where the type is a half.
fn widened<B: Backend>(t: FloatTensor<B>) -> FloatTensor<B> {
    match t.dtype() {
        DType::F16 | DType::BF16 => B::float_cast(t, FloatDType::F32),
        _ => t,
    }
}

fn cast<B: Backend>(t: FloatTensor<B>, dtype: FloatDType) -> FloatTensor<B> {
    match FloatDType::from(t.dtype()) == dtype {
        true => t,
        false => B::float_cast(t, dtype),
    }
}

/// `negative` where `z <= 0`, `positive` elsewhere.
fn select<B: Backend>(
    z: FloatTensor<B>,
    positive: FloatTensor<B>,
    negative: FloatTensor<B>,
) -> FloatTensor<B> {
    let mask = get_device_settings::<B>(&z.device()).bool_dtype;
    let mask = B::float_greater_elem(z, 0f32.into(), mask);
    B::float_mask_where(negative, mask, positive)
}

/// See [`NormOps::instance_norm_act`](super::NormOps::instance_norm_act).
pub fn instance_norm_act<B: Backend>(
    x: FloatTensor<B>,
    weight: FloatTensor<B>,
    bias: FloatTensor<B>,
    epsilon: f64,
    slope: f64,
) -> (FloatTensor<B>, FloatTensor<B>) {
    let shape = x.shape();
    let (batch, channels) = (shape[0], shape[1]);
    let voxels = shape[2] * shape[3] * shape[4];
    let dtype = x.dtype().into();
    let x = B::float_reshape(widened::<B>(x), Shape::from(vec![batch, channels, voxels]));
    let mean = B::float_mean_dim(x.clone(), 2);
    let centred = B::float_sub(x, mean.clone());
    let variance = B::float_mean_dim(B::float_mul(centred.clone(), centred.clone()), 2);
    let r = B::float_recip(B::float_sqrt(B::float_add_scalar(variance, epsilon.into())));
    let z = B::float_mul(B::float_mul(centred, r.clone()), per_channel::<B>(weight));
    let z = B::float_add(z, per_channel::<B>(bias));
    let y = select::<B>(z.clone(), z.clone(), B::float_mul_scalar(z, slope.into()));
    let row = |t| B::float_reshape(t, Shape::from(vec![1, batch, channels]));
    let statistics = B::float_cat(vec![row(mean), row(r)], 0);
    (cast::<B>(B::float_reshape(y, shape), dtype), statistics)
}

/// See [`NormOps::instance_norm_act_backward`](super::NormOps::instance_norm_act_backward).
pub fn instance_norm_act_backward<B: Backend>(
    x: FloatTensor<B>,
    weight: FloatTensor<B>,
    bias: FloatTensor<B>,
    statistics: FloatTensor<B>,
    gradient: FloatTensor<B>,
    slope: f64,
) -> (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>) {
    let shape = x.shape();
    let (batch, channels) = (shape[0], shape[1]);
    let voxels = shape[2] * shape[3] * shape[4];
    let dtype = x.dtype().into();
    let maps = |t| B::float_reshape(widened::<B>(t), Shape::from(vec![batch, channels, voxels]));
    let row = |index: usize| {
        let ranges = [index..index + 1, 0..batch, 0..channels].map(Slice::from);
        let row = B::float_slice(statistics.clone(), &ranges);
        B::float_reshape(row, Shape::from(vec![batch, channels, 1]))
    };
    let (mean, r) = (row(0), row(1));
    let (x, gradient) = (maps(x), maps(gradient));
    let weight = per_channel::<B>(weight);

    let h = B::float_mul(B::float_sub(x, mean), r.clone());
    let z = B::float_mul(h.clone(), weight.clone());
    let z = B::float_add(z, per_channel::<B>(bias));
    let g = select::<B>(
        z,
        gradient.clone(),
        B::float_mul_scalar(gradient, slope.into()),
    );
    let g_sum = B::float_sum_dim(g.clone(), 2);
    let gh_sum = B::float_sum_dim(B::float_mul(g.clone(), h.clone()), 2);

    let share = (1.0 / voxels as f64).into();
    let along = B::float_mul(h, B::float_mul_scalar(gh_sum.clone(), share));
    let x_gradient = B::float_sub(g, B::float_mul_scalar(g_sum.clone(), share));
    let x_gradient = B::float_mul(B::float_sub(x_gradient, along), B::float_mul(weight, r));
    let over_batch = |t| B::float_reshape(B::float_sum_dim(t, 0), Shape::from(vec![channels]));
    (
        cast::<B>(B::float_reshape(x_gradient, shape), dtype),
        cast::<B>(over_batch(gh_sum), dtype),
        cast::<B>(over_batch(g_sum), dtype),
    )
}
