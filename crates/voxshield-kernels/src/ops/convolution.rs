//! Convolution of volumes, its adjoint and its weight gradient; the default bodies are Burn's.

use burn::backend::{Backend, ExtensionType, backend_extension, tensor::FloatTensor};
#[cfg(feature = "fusion")]
use burn::tensor::Shape;
use burn::tensor::ops::ConvOptions;

use super::burn_convolution as composition;

/// How the taps of a convolution lie on its input: per axis `[depth, height, width]`, output
/// position `o` and tap `k` read input position `o * stride + k * dilation - padding`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConvGeometry {
    /// Input voxels from one output voxel to the next; at least 1.
    pub stride: [usize; 3],
    /// Zeros before and after each axis of the input.
    pub padding: [usize; 3],
    /// Input voxels from one tap to the next; at least 1.
    pub dilation: [usize; 3],
}

impl ConvGeometry {
    /// Sizes of the convolution's output, `floor((n + 2 padding - dilation (kernel - 1) - 1) /
    /// stride) + 1`; `None` where the kernel is larger than the padded input.
    pub fn output_sizes(&self, sizes: [usize; 3], kernel: [usize; 3]) -> Option<[usize; 3]> {
        let mut out = [0; 3];
        for axis in 0..3 {
            let reach = self.dilation[axis] * kernel[axis].checked_sub(1)? + 1;
            let room = (sizes[axis] + 2 * self.padding[axis]).checked_sub(reach)?;
            out[axis] = room / self.stride[axis] + 1;
        }
        Some(out)
    }

    /// Sizes of the transposed convolution's output, `(n - 1) stride - 2 padding + dilation
    /// (kernel - 1) + output_padding + 1`; `None` where that is not positive.
    pub fn transposed_sizes(
        &self,
        sizes: [usize; 3],
        kernel: [usize; 3],
        output_padding: [usize; 3],
    ) -> Option<[usize; 3]> {
        let mut out = [0; 3];
        for axis in 0..3 {
            let reach = self.dilation[axis] * kernel[axis].checked_sub(1)? + 1;
            let all = sizes[axis].checked_sub(1)? * self.stride[axis] + reach;
            let size = (all + output_padding[axis]).checked_sub(2 * self.padding[axis])?;
            out[axis] = (size > 0).then_some(size)?;
        }
        Some(out)
    }

    /// The shape of [`ConvOps::convolve`]'s output.
    #[cfg(feature = "fusion")]
    fn output_shape(&self, x: &Shape, weight: &Shape) -> Shape {
        let sizes = |shape: &Shape| std::array::from_fn(|axis| shape[2 + axis]);
        let [depth, height, width] = self
            .output_sizes(sizes(x), sizes(weight))
            .expect("the public functions refuse a kernel that does not fit");
        Shape::from([x[0], weight[0], depth, height, width])
    }

    pub(super) fn options(&self) -> ConvOptions<3> {
        ConvOptions::new(self.stride, self.padding, self.dilation, 1)
    }
}

/// What is added to each channel of an output.
///
/// An `Option` of a tensor does not cross Burn's dispatch; a type of our own does.
#[derive(Debug, Clone, ExtensionType)]
#[extension_type(fusion: cfg(feature = "fusion"))]
pub enum Bias<B: Backend> {
    /// Nothing.
    Absent,
    /// A value per channel, `[channel]`.
    Values(FloatTensor<B>),
}

impl<B: Backend> Bias<B> {
    /// The values, if there are any.
    pub fn values(self) -> Option<FloatTensor<B>> {
        match self {
            Self::Absent => None,
            Self::Values(values) => Some(values),
        }
    }
}

/// Convolution of volumes in the sense of networks (a cross-correlation), one group.
///
/// A transposed convolution is the adjoint of a convolution, so its gradients need nothing of their
/// own: the one for its input is [`convolve`](Self::convolve), the one for its weight is
/// [`convolve_weight_gradient`](Self::convolve_weight_gradient) with the two volumes exchanged.
///
/// The default bodies are Burn's own operations; a backend overrides them where it knows better.
/// Sizes and types, of which there is one, are checked by the public functions, not here.
#[backend_extension(
    Flex: cfg(feature = "flex"),
    Cube: cfg(feature = "cube"),
    Fusion: cfg(feature = "fusion"),
    Autodiff
)]
pub trait ConvOps: Backend {
    /// `y[b, o, p] = bias[o] + sum_{c, k} weight[o, c, k] x[b, c, p * stride + k * dilation - padding]`.
    ///
    /// # Shapes
    /// - `x`: `[batch, in, depth, height, width]`, 0 outside
    /// - `weight`: `[out, in, depth, height, width]`, `bias`: `[out]`
    /// - output: `[batch, out, ..]` of [`ConvGeometry::output_sizes`]
    #[fusion(dtype = x, shape = geometry.output_shape(x, weight))]
    fn convolve(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        #[extension_type] bias: Bias<Self>,
        geometry: ConvGeometry,
    ) -> FloatTensor<Self> {
        composition::convolve::<Self>(x, weight, bias, geometry)
    }

    /// The adjoint of [`convolve`](Self::convolve), plus a bias: the gradient of a convolution
    /// with respect to its input, and the transposed convolution.
    ///
    /// # Shapes
    /// - `y`: `[batch, out, ..]`, like the output of the convolution
    /// - `weight`: `[out, in, depth, height, width]`, `bias`: `[in]`
    /// - `sizes`: `[depth, height, width]` of the result; a convolution of that input has the size
    ///   of `y`
    /// - output: `[batch, in, depth, height, width]`
    #[fusion(dtype = y, shape = {
        let [depth, height, width] = *sizes;
        Shape::from([y[0], weight[1], depth, height, width])
    })]
    fn convolve_adjoint(
        y: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        #[extension_type] bias: Bias<Self>,
        sizes: [usize; 3],
        geometry: ConvGeometry,
    ) -> FloatTensor<Self> {
        composition::convolve_adjoint::<Self>(y, weight, bias, sizes, geometry)
    }

    /// The gradient of `sum(y * convolve(x, weight))` with respect to `weight`:
    /// `sum_{b, p} y[b, o, p] x[b, c, p * stride + k * dilation - padding]`.
    ///
    /// # Shapes
    /// - `x`: `[batch, in, depth, height, width]`
    /// - `y`: `[batch, out, ..]`, like the output of the convolution
    /// - `weight` and output: `[out, in, depth, height, width]`; the values of `weight` are not used
    #[fusion(dtype = weight, shape = weight)]
    fn convolve_weight_gradient(
        x: FloatTensor<Self>,
        y: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        geometry: ConvGeometry,
    ) -> FloatTensor<Self> {
        composition::convolve_weight_gradient::<Self>(x, y, weight, geometry)
    }

    /// The gradient with respect to a bias: `sum_{b, p} y[b, o, p]`.
    ///
    /// # Shapes
    /// - `y`: `[batch, out, depth, height, width]`
    /// - output: `[out]`
    #[fusion(dtype = y, shape = Shape::from([y[1]]))]
    fn channel_sums(y: FloatTensor<Self>) -> FloatTensor<Self> {
        composition::channel_sums::<Self>(y)
    }
}
