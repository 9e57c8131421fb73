use burn::tensor::Tensor;

use crate::precision::like;

/// How much a volume changes from slice to slice: `y_z = |x_z - x_{z-1}|`, `y_0 = 0`.
///
/// The gradient of `|u|` at 0 is 0.
///
/// # Shapes
///
/// `[batch, channel, depth, height, width]`, kept.
pub fn slice_difference(x: Tensor<5>) -> Tensor<5> {
    let [batch, channels, depth, height, width] = x.dims();
    let first = like(
        Tensor::<5>::zeros([batch, channels, 1, height, width], &x.device()),
        &x,
    );
    match depth {
        0 => x,
        1 => first,
        _ => {
            let above = x.clone().narrow(2, 1, depth - 1);
            let below = x.narrow(2, 0, depth - 1);
            Tensor::cat(vec![first, (above - below).abs()], 2)
        }
    }
}
