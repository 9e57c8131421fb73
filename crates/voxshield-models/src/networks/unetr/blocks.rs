//! The convolutional blocks of UNETR and Swin UNETR. No convolution but the last one has a bias.

use burn::module::Module;
use burn::nn::LeakyRelu;
use burn::tensor::{Device, Tensor, activation};

use crate::{
    ActivationLayer, Conv3d, ConvSpec, ConvTranspose3d, ConvTransposeSpec, Norm, NormLayer,
    WeightRng,
};

/// Slope of the leaky ReLUs.
const SLOPE: f64 = 0.01;

/// A convolution that keeps the size, without bias, and a normalisation.
#[derive(Module, Debug)]
pub struct NormedConv {
    /// The convolution.
    pub conv: Conv3d,
    /// The normalisation.
    pub norm: NormLayer,
}

impl NormedConv {
    fn new(
        channels: [usize; 2],
        kernel: usize,
        norm: Norm,
        rng: &mut WeightRng,
        device: &Device,
    ) -> Self {
        Self {
            conv: ConvSpec::new(channels, kernel)
                .without_bias()
                .init(rng, device),
            norm: norm.init(channels[1], device),
        }
    }

    /// `[batch, in, depth, height, width]` to `[batch, out, depth, height, width]`.
    pub fn forward(&self, x: Tensor<5>) -> Tensor<5> {
        self.norm.forward(self.conv.forward(x))
    }

    /// [`forward`](Self::forward), then the leaky ReLU.
    fn forward_activated(&self, x: Tensor<5>) -> Tensor<5> {
        let activation = ActivationLayer::LeakyRelu(LeakyRelu {
            negative_slope: SLOPE,
        });
        self.norm
            .forward_activated(self.conv.forward(x), &activation)
    }
}

/// Two convolutions with a residual connection (MONAI's `UnetResBlock`):
/// `y = act(second(act(first(x))) + shortcut(x))`, act = leaky ReLU with slope 0.01.
#[derive(Module, Debug)]
pub struct UnetrBlock {
    /// 3x3x3, changes the channels.
    pub first: NormedConv,
    /// 3x3x3.
    pub second: NormedConv,
    /// 1x1x1; `None`, the identity, where the channels stay.
    pub shortcut: Option<NormedConv>,
}

impl UnetrBlock {
    /// `channels` is `[in, out]`.
    pub fn new(channels: [usize; 2], norm: Norm, rng: &mut WeightRng, device: &Device) -> Self {
        let [input, output] = channels;
        Self {
            first: NormedConv::new(channels, 3, norm, rng, device),
            second: NormedConv::new([output; 2], 3, norm, rng, device),
            shortcut: (input != output).then(|| NormedConv::new(channels, 1, norm, rng, device)),
        }
    }

    /// `[batch, in, depth, height, width]` to `[batch, out, depth, height, width]`.
    pub fn forward(&self, x: Tensor<5>) -> Tensor<5> {
        let inner = self.first.forward_activated(x.clone());
        let inner = self.second.forward(inner);
        let residual = match &self.shortcut {
            Some(shortcut) => shortcut.forward(x),
            None => x,
        };
        activation::leaky_relu(inner + residual, SLOPE)
    }

    /// Floating-point operations for one sample of `sizes`.
    pub fn flops(&self, sizes: [usize; 3]) -> u64 {
        let parts = [
            Some(&self.first),
            Some(&self.second),
            self.shortcut.as_ref(),
        ];
        let parts = parts.into_iter().flatten();
        parts.map(|part| part.conv.spec().flops(sizes)).sum()
    }

    /// Parameters of [`UnetrBlock::new`]; saturating.
    pub(crate) fn parameter_count(channels: [usize; 2], norm: Norm) -> u64 {
        let [input, output] = channels;
        let part = |channels, kernel| {
            let conv = ConvSpec::new(channels, kernel).without_bias();
            conv.parameter_count()
                .saturating_add(norm.parameter_count(output))
        };
        let shortcut = if input == output {
            0
        } else {
            part(channels, 1)
        };
        part(channels, 3)
            .saturating_add(part([output; 2], 3))
            .saturating_add(shortcut)
    }
}

/// Doubles every size, joins the features of the encoder if there are some, and runs a
/// [`UnetrBlock`].
#[derive(Module, Debug)]
pub struct UnetrUpBlock {
    /// Kernel and stride 2, changes the channels.
    pub up: ConvTranspose3d,
    /// The block after it.
    pub block: UnetrBlock,
}

impl UnetrUpBlock {
    /// A block that is given the encoder's features; `channels` is `[in, out]`.
    pub fn joining(channels: [usize; 2], norm: Norm, rng: &mut WeightRng, device: &Device) -> Self {
        let [_, output] = channels;
        Self {
            up: doubling(channels).init(rng, device),
            block: UnetrBlock::new([2 * output, output], norm, rng, device),
        }
    }

    /// A block that is not.
    pub fn plain(channels: usize, norm: Norm, rng: &mut WeightRng, device: &Device) -> Self {
        Self {
            up: doubling([channels; 2]).init(rng, device),
            block: UnetrBlock::new([channels; 2], norm, rng, device),
        }
    }

    /// * `x`: `[batch, in, depth, height, width]`
    /// * `skip`: `[batch, out, 2 * depth, 2 * height, 2 * width]`, the encoder's features; they
    ///   follow the up-sampled ones
    /// * result: the shape of `skip`
    pub fn forward(&self, x: Tensor<5>, skip: Option<Tensor<5>>) -> Tensor<5> {
        let x = self.up.forward(x);
        self.block.forward(match skip {
            Some(skip) => Tensor::cat(vec![x, skip], 1),
            None => x,
        })
    }

    /// The sizes of the output and the floating-point operations, for an input of `sizes`.
    pub fn cost(&self, sizes: [usize; 3]) -> ([usize; 3], u64) {
        let spec = self.up.spec();
        let output = spec.output_sizes(sizes);
        (output, spec.flops(sizes) + self.block.flops(output))
    }

    /// Parameters of [`UnetrUpBlock::joining`]; saturating.
    pub(crate) fn parameter_count(channels: [usize; 2], norm: Norm) -> u64 {
        let [_, output] = channels;
        let block = UnetrBlock::parameter_count([output.saturating_mul(2), output], norm);
        doubling(channels).parameter_count().saturating_add(block)
    }
}

/// Brings tokens to the resolution of a skip connection (MONAI's `UnetrPrUpBlock`).
#[derive(Module, Debug)]
pub struct ProjectionBlock {
    /// Kernel and stride 2, changes the channels.
    pub up: ConvTranspose3d,
    /// Each doubles the sizes once more.
    pub steps: Vec<UnetrUpBlock>,
}

impl ProjectionBlock {
    /// `channels` is `[in, out]`.
    pub fn new(
        channels: [usize; 2],
        steps: usize,
        norm: Norm,
        rng: &mut WeightRng,
        device: &Device,
    ) -> Self {
        let [_, output] = channels;
        Self {
            up: doubling(channels).init(rng, device),
            steps: (0..steps)
                .map(|_| UnetrUpBlock::plain(output, norm, rng, device))
                .collect(),
        }
    }

    /// `[batch, in, depth, height, width]` to `[batch, out, f * depth, f * height, f * width]`,
    /// f = 2^(steps + 1).
    pub fn forward(&self, x: Tensor<5>) -> Tensor<5> {
        let x = self.up.forward(x);
        self.steps.iter().fold(x, |x, step| step.forward(x, None))
    }

    /// Floating-point operations for one sample of `sizes`.
    pub fn flops(&self, sizes: [usize; 3]) -> u64 {
        let spec = self.up.spec();
        let first = (spec.output_sizes(sizes), spec.flops(sizes));
        let (_, sum) = self.steps.iter().fold(first, |(sizes, sum), step| {
            let (sizes, flops) = step.cost(sizes);
            (sizes, sum + flops)
        });
        sum
    }

    /// Parameters of [`ProjectionBlock::new`]; saturating.
    pub(crate) fn parameter_count(channels: [usize; 2], steps: usize, norm: Norm) -> u64 {
        let same = [channels[1]; 2];
        let step = doubling(same)
            .parameter_count()
            .saturating_add(UnetrBlock::parameter_count(same, norm));
        doubling(channels)
            .parameter_count()
            .saturating_add(step.saturating_mul(steps as u64))
    }
}

fn doubling(channels: [usize; 2]) -> ConvTransposeSpec {
    ConvTransposeSpec::tiling(channels, [2; 3]).without_bias()
}
