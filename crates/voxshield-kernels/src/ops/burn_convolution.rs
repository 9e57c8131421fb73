//! The default bodies of [`ConvOps`](super::ConvOps): Burn's own operations.

use burn::backend::{Backend, TensorMetadata, tensor::FloatTensor};
use burn::tensor::{Shape, ops::ConvTransposeOptions};

use super::{Bias, ConvGeometry};

/// See [`ConvOps::convolve`](super::ConvOps::convolve).
pub fn convolve<B: Backend>(
    x: FloatTensor<B>,
    weight: FloatTensor<B>,
    bias: Bias<B>,
    geometry: ConvGeometry,
) -> FloatTensor<B> {
    B::conv3d(x, weight, bias.values(), geometry.options())
}

/// See [`ConvOps::convolve_adjoint`](super::ConvOps::convolve_adjoint).
pub fn convolve_adjoint<B: Backend>(
    y: FloatTensor<B>,
    weight: FloatTensor<B>,
    bias: Bias<B>,
    sizes: [usize; 3],
    geometry: ConvGeometry,
) -> FloatTensor<B> {
    let (y_shape, kernel) = (y.shape(), weight.shape());
    // What the smallest input with an output of this size lacks.
    let output_padding = std::array::from_fn(|axis| {
        let reach = geometry.dilation[axis] * (kernel[2 + axis] - 1) + 1;
        let smallest = (y_shape[2 + axis] - 1) * geometry.stride[axis] + reach;
        sizes[axis] + 2 * geometry.padding[axis] - smallest
    });
    let options = ConvTransposeOptions::new(
        geometry.stride,
        geometry.padding,
        output_padding,
        geometry.dilation,
        1,
    );
    B::conv_transpose3d(y, weight, bias.values(), options)
}

/// See [`ConvOps::convolve_weight_gradient`](super::ConvOps::convolve_weight_gradient).
pub fn convolve_weight_gradient<B: Backend>(
    x: FloatTensor<B>,
    y: FloatTensor<B>,
    weight: FloatTensor<B>,
    geometry: ConvGeometry,
) -> FloatTensor<B> {
    B::conv3d_weight_backward(x, weight, y, geometry.options())
}

/// See [`ConvOps::channel_sums`](super::ConvOps::channel_sums).
pub fn channel_sums<B: Backend>(y: FloatTensor<B>) -> FloatTensor<B> {
    let shape = y.shape();
    let (batch, channels) = (shape[0], shape[1]);
    let voxels = shape[2] * shape[3] * shape[4];
    let y = B::float_reshape(y, Shape::from(vec![batch, channels, voxels]));
    let sums = B::float_sum_dim(B::float_sum_dim(y, 2), 0);
    B::float_reshape(sums, Shape::from(vec![channels]))
}
