use burn::module::Module;
use burn::tensor::{Device, Tensor, module};

use super::NnUnetConv;
use super::conv::{SLOPE, unit_parameters};
use crate::{Activation, ActivationLayer, ConvSpec, WeightRng, constant};

/// A residual block, `y = leaky(norm(conv2(conv1(x))) + skip(x))` (nnU-Net's `BasicBlockD`, the
/// ResNet-D of arXiv 1812.01187).
///
/// `conv1` has a norm, a leaky ReLU and the stride. `skip` is the identity; with a stride it begins
/// with a mean over as many voxels, and if the channels change it ends with a 1x1x1 convolution
/// without bias and a norm.
#[derive(Module, Debug)]
pub struct NnUnetBlock {
    /// Convolution, norm, activation.
    pub conv1: NnUnetConv,
    /// Convolution, norm.
    pub conv2: NnUnetConv,
    /// The projection of the skip connection, if the channels change.
    pub skip: Option<NnUnetConv>,
    /// The activation after the sum.
    pub activation: ActivationLayer,
    #[module(skip)]
    stride: [usize; 3],
}

impl NnUnetBlock {
    /// `first` is the first convolution.
    pub(super) fn new(first: ConvSpec, rng: &mut WeightRng, device: &Device) -> Self {
        let (second, skip) = (second(first), skip(first));
        let conv1 = NnUnetConv::new(first, rng, device);
        let mut conv2 = NnUnetConv::linear(second, rng, device);
        // The block is the identity at first (up to the skip connection and the activation).
        conv2.norm.gamma = Some(constant([second.channels()[1]], 0.0, device));
        Self {
            conv1,
            conv2,
            skip: skip.map(|spec| NnUnetConv::linear(spec, rng, device)),
            activation: Activation::LeakyRelu(SLOPE).init(device),
            stride: first.stride(),
        }
    }

    /// `[batch, in, depth, height, width]` to `[batch, out, ..]`, every size divided by the stride,
    /// of which it is a multiple.
    pub fn forward(&self, x: Tensor<5>) -> Tensor<5> {
        let skip = self.pooled(x.clone());
        let skip = match &self.skip {
            Some(projection) => projection.forward(skip),
            None => skip,
        };
        let y = self.conv2.forward(self.conv1.forward(x));
        self.activation.forward(y + skip)
    }

    /// The mean over blocks of `stride` voxels.
    fn pooled(&self, x: Tensor<5>) -> Tensor<5> {
        if self.stride == [1; 3] {
            return x;
        }
        // With sizes that are multiples of the stride, all of its cells have `stride` voxels.
        let [_, _, sizes @ ..] = x.dims();
        module::adaptive_avg_pool3d(x, self.divided(sizes))
    }

    fn divided(&self, sizes: [usize; 3]) -> [usize; 3] {
        std::array::from_fn(|axis| sizes[axis] / self.stride[axis])
    }

    /// The sizes of the output and the floating-point operations, for an input of `sizes`.
    pub fn cost(&self, sizes: [usize; 3]) -> ([usize; 3], u64) {
        let (inner, first) = self.conv1.cost(sizes);
        let (output, second) = self.conv2.cost(inner);
        let skip = self.skip.as_ref();
        let skip = skip.map_or(0, |conv| conv.cost(self.divided(sizes)).1);
        (output, first + second + skip)
    }
}

/// Parameters of a [`NnUnetBlock`]; saturating.
pub(super) fn block_parameters(first: ConvSpec) -> u64 {
    unit_parameters(first)
        .saturating_add(unit_parameters(second(first)))
        .saturating_add(skip(first).map_or(0, unit_parameters))
}

fn second(first: ConvSpec) -> ConvSpec {
    let [_, output] = first.channels();
    ConvSpec::anisotropic([output; 2], first.kernel())
}

fn skip(first: ConvSpec) -> Option<ConvSpec> {
    let [input, output] = first.channels();
    (input != output).then(|| ConvSpec::new([input, output], 1).without_bias())
}
