use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use voxshield_kernels::{ConvGeometry, KernelError, conv3d};

use super::WeightRng;
use crate::precision::like;

/// The structure of a [`Conv3d`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConvSpec {
    pub(super) channels: [usize; 2],
    pub(super) kernel: [usize; 3],
    stride: [usize; 3],
    dilation: [usize; 3],
    padded: bool,
    pub(super) bias: bool,
}

impl ConvSpec {
    /// A convolution from `channels[0]` to `channels[1]` channels with a cubic kernel, stride 1 and
    /// bias.
    pub fn new(channels: [usize; 2], kernel: usize) -> Self {
        Self::anisotropic(channels, [kernel; 3])
    }

    /// As [`ConvSpec::new`], with a kernel size per axis `[depth, height, width]`.
    pub fn anisotropic(channels: [usize; 2], kernel: [usize; 3]) -> Self {
        Self {
            channels,
            kernel,
            stride: [1; 3],
            dilation: [1; 3],
            padded: true,
            bias: true,
        }
    }

    /// The kernel is the stride, nothing is padded: every voxel of the output sees a tile of the
    /// input. `channels` is `[in, out]`.
    pub fn tiling(channels: [usize; 2], kernel: [usize; 3]) -> Self {
        Self {
            padded: false,
            ..Self::anisotropic(channels, kernel).with_stride(kernel)
        }
    }

    /// With the stride `[depth, height, width]`.
    #[must_use]
    pub fn with_stride(self, stride: [usize; 3]) -> Self {
        Self { stride, ..self }
    }

    /// With the distance between the taps of the kernel, the same on all axes.
    #[must_use]
    pub fn with_dilation(self, dilation: usize) -> Self {
        let dilation = [dilation; 3];
        Self { dilation, ..self }
    }

    /// Without bias.
    #[must_use]
    pub fn without_bias(self) -> Self {
        Self {
            bias: false,
            ..self
        }
    }

    /// `[in, out]`.
    pub fn channels(&self) -> [usize; 2] {
        self.channels
    }

    /// `[depth, height, width]`.
    pub fn kernel(&self) -> [usize; 3] {
        self.kernel
    }

    /// `[depth, height, width]`.
    pub fn stride(&self) -> [usize; 3] {
        self.stride
    }

    /// The sizes `[depth, height, width]` of the output for an input of `sizes`.
    ///
    /// The padding is `dilation * (kernel - 1) / 2`, but for [`ConvSpec::tiling`]: with an odd kernel
    /// a size `n` becomes `ceil(n / stride)`.
    pub fn output_sizes(&self, sizes: [usize; 3]) -> [usize; 3] {
        let padding = self.padding();
        std::array::from_fn(|axis| {
            let reach = self.dilation[axis] * (self.kernel[axis].saturating_sub(1));
            let room = (sizes[axis] + 2 * padding[axis]).saturating_sub(reach + 1);
            room / self.stride[axis].max(1) + 1
        })
    }

    /// Floating-point operations for one sample of `sizes`, 2 for each multiply-add; the bias is
    /// not counted.
    pub fn flops(&self, sizes: [usize; 3]) -> u64 {
        multiply_adds(self.channels, self.kernel)
            .saturating_mul(voxels(self.output_sizes(sizes)))
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
    /// Weight `[out, in, depth, height, width]` and bias `[out]` are drawn from `U(-b, b)`,
    /// `b = 1 / sqrt(in * kernel voxels)`, the weight first.
    pub fn init(self, rng: &mut WeightRng, device: &Device) -> Conv3d {
        let [input, output] = self.channels;
        let bound = init_bound(input, self.kernel);
        let [d, h, w] = self.kernel;
        Conv3d {
            weight: rng.uniform([output, input, d, h, w], bound, device),
            bias: self.bias.then(|| rng.uniform([output], bound, device)),
            spec: self,
        }
    }

    fn padding(&self) -> [usize; 3] {
        if !self.padded {
            return [0; 3];
        }
        std::array::from_fn(|axis| self.dilation[axis] * (self.kernel[axis].saturating_sub(1)) / 2)
    }
}

/// A 3D convolution with zero padding that keeps the size at stride 1, or a tiling one.
#[derive(Module, Debug)]
pub struct Conv3d {
    /// `[out, in, depth, height, width]`.
    pub weight: Param<Tensor<5>>,
    /// `[out]`.
    pub bias: Option<Param<Tensor<1>>>,
    #[module(skip)]
    pub(super) spec: ConvSpec,
}

impl Conv3d {
    /// `[batch, in, depth, height, width]` to `[batch, out, ..]` of [`ConvSpec::output_sizes`].
    ///
    /// The weights are cast to the type of `x`, as in every layer.
    ///
    /// # Panics
    ///
    /// Like Burn's own layers, if `x` does not have the channels that the layer was made for.
    pub fn forward(&self, x: Tensor<5>) -> Tensor<5> {
        self.forward_with(x, self.weight.val())
    }

    /// As [`Conv3d::forward`], with a weight that was computed from [`Conv3d::weight`].
    ///
    /// # Panics
    ///
    /// As [`Conv3d::forward`], and if the weight has another shape.
    pub fn forward_with(&self, x: Tensor<5>, weight: Tensor<5>) -> Tensor<5> {
        let spec = &self.spec;
        let geometry = ConvGeometry {
            stride: spec.stride,
            padding: spec.padding(),
            dilation: spec.dilation,
        };
        let bias = self.bias.as_ref().map(|bias| like(bias.val(), &x));
        let weight = like(weight, &x);
        fitting(conv3d(x, weight, bias, geometry))
    }

    /// The structure that the layer was created from.
    pub fn spec(&self) -> &ConvSpec {
        &self.spec
    }
}

/// The output of a layer. Networks check the volumes that they take, so that an argument that
/// does not fit a layer is a defect of the network.
pub(super) fn fitting(output: Result<Tensor<5>, KernelError>) -> Tensor<5> {
    output.unwrap_or_else(|error| panic!("{error}"))
}

/// Voxels of a volume.
pub(crate) fn voxels(sizes: [usize; 3]) -> u64 {
    sizes.iter().map(|&n| n as u64).fold(1, u64::saturating_mul)
}

/// Multiply-adds of a kernel for one voxel of the output (or, transposed, of the input).
pub(super) fn multiply_adds([input, output]: [usize; 2], kernel: [usize; 3]) -> u64 {
    (input as u64)
        .saturating_mul(output as u64)
        .saturating_mul(voxels(kernel))
}

/// The weights and, if there are any, one bias for each output; saturating.
pub(super) fn with_biases(weights: u64, [_, output]: [usize; 2], bias: bool) -> u64 {
    weights.saturating_add(if bias { output as u64 } else { 0 })
}

pub(super) fn init_bound(fan_channels: usize, kernel: [usize; 3]) -> f32 {
    let fan_in = fan_channels * kernel.iter().product::<usize>();
    (1.0 / (fan_in as f64).sqrt()) as f32
}
