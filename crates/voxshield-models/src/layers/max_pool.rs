use burn::tensor::ops::MaxPoolOptions;
use burn::tensor::{Tensor, module};

/// The largest value of each block of 2 x 2 x 2 voxels; halves every size, which has to be even.
///
/// The gradient goes to the first of equal values in C order, as in PyTorch.
///
/// # Shapes
///
/// * `x`: `[batch, channel, depth, height, width]`
/// * result: `[batch, channel, depth / 2, height / 2, width / 2]`
pub fn max_pool_halving(x: Tensor<5>) -> Tensor<5> {
    let [batch, channels, d, h, w] = x.dims();
    // Burn pools in two dimensions: the slices first, then the depth.
    let slices = x.reshape([batch, channels * d, h, w]);
    let slices = module::max_pool2d(slices, MaxPoolOptions::new([2, 2]));
    let (h, w) = (h / 2, w / 2);
    let columns = slices.reshape([batch, channels, d, h * w]);
    let pooled = module::max_pool2d(columns, MaxPoolOptions::new([2, 1]));
    pooled.reshape([batch, channels, d / 2, h, w])
}
