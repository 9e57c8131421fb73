use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use voxshield_kernels::{ConvGeometry, conv_transpose3d};

use super::WeightRng;
use super::convolution::{fitting, init_bound, multiply_adds, voxels, with_biases};
use crate::precision::like;

/// The structure of a [`ConvTranspose3d`], which multiplies every size by its stride.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConvTransposeSpec {
    pub(super) channels: [usize; 2],
    pub(super) kernel: [usize; 3],
    stride: [usize; 3],
    padding: [usize; 3],
    pub(super) bias: bool,
}

impl ConvTransposeSpec {
    /// Kernel 3, padding 1, output padding `stride - 1`: MONAI's up-sampling. `channels` is
    /// `[in, out]`.
    pub fn overlapping(channels: [usize; 2], stride: [usize; 3]) -> Self {
        Self {
            channels,
            kernel: [3; 3],
            stride,
            padding: [1; 3],
            bias: true,
        }
    }

    /// The kernel is the stride, nothing is padded: nnU-Net's up-sampling. `channels` is
    /// `[in, out]`.
    pub fn tiling(channels: [usize; 2], stride: [usize; 3]) -> Self {
        Self {
            channels,
            kernel: stride,
            stride,
            padding: [0; 3],
            bias: true,
        }
    }

    /// Without bias.
    #[must_use]
    pub fn without_bias(self) -> Self {
        Self {
            bias: false,
            ..self
        }
    }

    /// The sizes `[depth, height, width]` of the output for an input of `sizes`.
    pub fn output_sizes(&self, sizes: [usize; 3]) -> [usize; 3] {
        std::array::from_fn(|axis| sizes[axis] * self.stride[axis])
    }

    /// Floating-point operations for one sample of `sizes`, 2 for each multiply-add; the bias is
    /// not counted.
    pub fn flops(&self, sizes: [usize; 3]) -> u64 {
        multiply_adds(self.channels, self.kernel)
            .saturating_mul(voxels(sizes))
            .saturating_mul(2)
    }

    /// Weights and biases; saturating.
    pub fn parameter_count(&self) -> u64 {
        with_biases(
            multiply_adds(self.channels, self.kernel),
            self.channels,
            self.bias,
        )
    }

    /// Creates the layer, initialised as PyTorch does by default.
    ///
    /// Weight `[in, out, depth, height, width]` and bias `[out]` are drawn from `U(-b, b)`,
    /// `b = 1 / sqrt(out * kernel voxels)`: PyTorch takes the fan-in of a transposed convolution
    /// from its weight's second axis.
    pub fn init(self, rng: &mut WeightRng, device: &Device) -> ConvTranspose3d {
        let [input, output] = self.channels;
        let bound = init_bound(output, self.kernel);
        let [d, h, w] = self.kernel;
        ConvTranspose3d {
            weight: rng.uniform([input, output, d, h, w], bound, device),
            bias: self.bias.then(|| rng.uniform([output], bound, device)),
            spec: self,
        }
    }

    /// What the output has to grow by at its end for every size to be multiplied by the stride.
    fn output_padding(&self) -> [usize; 3] {
        std::array::from_fn(|axis| {
            (self.stride[axis] + 2 * self.padding[axis]).saturating_sub(self.kernel[axis])
        })
    }
}

/// A transposed 3D convolution that multiplies every size by its stride.
#[derive(Module, Debug)]
pub struct ConvTranspose3d {
    /// `[in, out, depth, height, width]`.
    pub weight: Param<Tensor<5>>,
    /// `[out]`.
    pub bias: Option<Param<Tensor<1>>>,
    #[module(skip)]
    pub(super) spec: ConvTransposeSpec,
}

impl ConvTranspose3d {
    /// `[batch, in, depth, height, width]` to `[batch, out, ..]` of
    /// [`ConvTransposeSpec::output_sizes`].
    ///
    /// # Panics
    ///
    /// Like Burn's own layers, if `x` does not have the channels that the layer was made for.
    pub fn forward(&self, x: Tensor<5>) -> Tensor<5> {
        let spec = &self.spec;
        let geometry = ConvGeometry {
            stride: spec.stride,
            padding: spec.padding,
            dilation: [1; 3],
        };
        let bias = self.bias.as_ref().map(|bias| like(bias.val(), &x));
        let (weight, padding) = (like(self.weight.val(), &x), spec.output_padding());
        fitting(conv_transpose3d(x, weight, bias, padding, geometry))
    }

    /// The structure that the layer was created from.
    pub fn spec(&self) -> &ConvTransposeSpec {
        &self.spec
    }
}
