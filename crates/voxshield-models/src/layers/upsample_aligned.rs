use burn::tensor::{Device, Tensor, TensorData};

use crate::precision::like;

/// Trilinear interpolation to the sizes `[depth, height, width]`, corners aligned: along an axis of
/// `n` samples, sample `o` of `m` is taken at `o (n - 1) / (m - 1)` (at 0 for `m = 1`), from the two
/// neighbours by their distances; PyTorch's `interpolate(mode="trilinear", align_corners=True)`.
///
/// It makes volumes larger or smaller; an axis that already has its size is left alone.
///
/// # Shapes
///
/// `[batch, channel, depth, height, width]` to `[batch, channel, sizes..]`.
pub fn upsample_aligned(x: Tensor<5>, sizes: [usize; 3]) -> Tensor<5> {
    // The interpolation is separable: one matrix product for each axis. Its backward pass is the
    // product with the transposed matrix, without the scattered sums of an index operation.
    let [batch, channels, depth, height, width] = x.dims();
    let [to_depth, to_height, to_width] = sizes;
    let device = x.device();
    let mut x = x;
    if to_width != width {
        let columns = like(matrix(width, to_width, &device), &x).transpose();
        let rows = x.reshape([batch * channels * depth * height, width]);
        x = rows
            .matmul(columns)
            .reshape([batch, channels, depth, height, to_width]);
    }
    if to_height != height {
        let planes = x.reshape([batch * channels * depth, height, to_width]);
        let rows = like(matrix(height, to_height, &device), &planes).unsqueeze::<3>();
        x = rows
            .matmul(planes)
            .reshape([batch, channels, depth, to_height, to_width]);
    }
    if to_depth != depth {
        let volumes = x.reshape([batch * channels, depth, to_height * to_width]);
        let slices = like(matrix(depth, to_depth, &device), &volumes).unsqueeze::<3>();
        x = slices
            .matmul(volumes)
            .reshape([batch, channels, to_depth, to_height, to_width]);
    }
    x
}

/// The weights `[to, from]` of every source sample in every target sample.
fn matrix(from: usize, to: usize, device: &Device) -> Tensor<2> {
    let mut weights = vec![0.0f32; to * from];
    let last = from.saturating_sub(1);
    let step = match to {
        0 | 1 => 0.0,
        _ => last as f64 / (to - 1) as f64,
    };
    for (target, row) in weights.chunks_exact_mut(from).enumerate() {
        let position = (target as f64 * step).min(last as f64);
        let left = position as usize;
        let share = position - left as f64;
        // Where both neighbours are the last sample, it takes the sum of their weights, 1.
        row[left] += (1.0 - share) as f32;
        row[(left + 1).min(last)] += share as f32;
    }
    Tensor::from_data(TensorData::new(weights, [to, from]), device)
}
