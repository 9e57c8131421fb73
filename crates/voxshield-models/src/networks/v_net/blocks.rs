use burn::module::Module;
use burn::tensor::{Device, Tensor};

use crate::{
    BatchNorm, ChannelDropout, Conv3d, ConvNorm, ConvSpec, ConvTranspose3d, ConvTransposeSpec,
    WeightRng, elu,
};

/// 5x5x5 without bias: batch normalisation follows.
pub(super) fn conv5(channels: [usize; 2]) -> ConvSpec {
    ConvSpec::new(channels, 5).without_bias()
}

/// Convolution 5x5x5, batch normalisation, ELU (MONAI's `LUConv`).
#[derive(Module, Debug)]
pub(super) struct LuConv {
    conv_block: ConvNorm,
}

/// A chain of [`LuConv`]s that keeps its channels.
fn chain(channels: usize, convs: usize, rng: &mut WeightRng, device: &Device) -> Vec<LuConv> {
    let mut conv = || ConvNorm::new(conv5([channels; 2]), rng, device);
    (0..convs).map(|_| LuConv { conv_block: conv() }).collect()
}

/// `elu(ops(x) + residual)`
fn residual(ops: &[LuConv], x: Tensor<5>, residual: Tensor<5>) -> Tensor<5> {
    let y = ops.iter().fold(x, |x, op| elu(op.conv_block.forward(x)));
    elu(y + residual)
}

fn flops(ops: &[LuConv], sizes: [usize; 3]) -> u64 {
    let convs = ops.iter().map(|op| op.conv_block.conv.spec().flops(sizes));
    convs.sum()
}

fn chain_parameters(channels: usize, convs: usize) -> u64 {
    ConvNorm::parameter_count(conv5([channels; 2])).saturating_mul(convs as u64)
}

/// The structure of a [`DownTransition`].
#[derive(Debug, Clone, Copy)]
pub(super) struct DownSpec {
    /// Channels of the input; the output has twice as many.
    pub(super) input: usize,
    pub(super) convs: usize,
    /// `None` where the reference has no such layer.
    pub(super) dropout: Option<f64>,
}

impl DownSpec {
    fn conv(&self) -> ConvSpec {
        ConvSpec::new([self.input, self.output()], 2)
            .with_stride([2; 3])
            .without_bias()
    }

    fn output(&self) -> usize {
        self.input.saturating_mul(2)
    }

    pub(super) fn parameter_count(&self) -> u64 {
        let norm = (self.output() as u64).saturating_mul(2);
        let down = self.conv().parameter_count().saturating_add(norm);
        down.saturating_add(chain_parameters(self.output(), self.convs))
    }
}

/// One level down: with `d = elu(bn1(down_conv(x)))`, `elu(ops(dropout(d)) + d)`.
#[derive(Module, Debug)]
pub(super) struct DownTransition {
    down_conv: Conv3d,
    bn1: BatchNorm,
    ops: Vec<LuConv>,
    dropout: Option<ChannelDropout>,
}

impl DownTransition {
    pub(super) fn new(spec: DownSpec, rng: &mut WeightRng, device: &Device) -> Self {
        Self {
            down_conv: spec.conv().init(rng, device),
            bn1: BatchNorm::new(spec.output(), device),
            ops: chain(spec.output(), spec.convs, rng, device),
            dropout: spec.dropout.map(|p| ChannelDropout::new(p, rng)),
        }
    }

    pub(super) fn forward(&self, x: Tensor<5>) -> Tensor<5> {
        let down = elu(self.bn1.forward(self.down_conv.forward(x)));
        residual(&self.ops, drop(&self.dropout, down.clone()), down)
    }

    pub(super) fn cost(&self, sizes: [usize; 3]) -> ([usize; 3], u64) {
        let down = self.down_conv.spec();
        let output = down.output_sizes(sizes);
        (output, down.flops(sizes) + flops(&self.ops, output))
    }
}

/// The structure of an [`UpTransition`].
#[derive(Debug, Clone, Copy)]
pub(super) struct UpSpec {
    pub(super) input: usize,
    /// Half of them come from below, half from the skip connection.
    pub(super) output: usize,
    pub(super) convs: usize,
    /// `None` where the reference has no such layer.
    pub(super) dropout: Option<f64>,
    pub(super) skip_dropout: f64,
}

impl UpSpec {
    fn conv(&self) -> ConvTransposeSpec {
        ConvTransposeSpec::tiling([self.input, self.output / 2], [2; 3])
    }

    pub(super) fn parameter_count(&self) -> u64 {
        // Weight and bias of half as many channels.
        let norm = self.output as u64;
        let up = self.conv().parameter_count().saturating_add(norm);
        up.saturating_add(chain_parameters(self.output, self.convs))
    }
}

/// One level up: with `u = cat(elu(bn1(up_conv(dropout(x)))), dropout2(skip))`,
/// `elu(ops(u) + u)`.
#[derive(Module, Debug)]
pub(super) struct UpTransition {
    up_conv: ConvTranspose3d,
    bn1: BatchNorm,
    ops: Vec<LuConv>,
    dropout: Option<ChannelDropout>,
    dropout2: ChannelDropout,
}

impl UpTransition {
    pub(super) fn new(spec: UpSpec, rng: &mut WeightRng, device: &Device) -> Self {
        Self {
            up_conv: spec.conv().init(rng, device),
            bn1: BatchNorm::new(spec.output / 2, device),
            ops: chain(spec.output, spec.convs, rng, device),
            dropout: spec.dropout.map(|p| ChannelDropout::new(p, rng)),
            dropout2: ChannelDropout::new(spec.skip_dropout, rng),
        }
    }

    pub(super) fn forward(&self, x: Tensor<5>, skip: Tensor<5>) -> Tensor<5> {
        let up = self.up_conv.forward(drop(&self.dropout, x));
        let up = elu(self.bn1.forward(up));
        let joint = Tensor::cat(vec![up, self.dropout2.forward(skip)], 1);
        residual(&self.ops, joint.clone(), joint)
    }

    pub(super) fn cost(&self, sizes: [usize; 3]) -> ([usize; 3], u64) {
        let up = self.up_conv.spec();
        let output = up.output_sizes(sizes);
        (output, up.flops(sizes) + flops(&self.ops, output))
    }
}

fn drop(dropout: &Option<ChannelDropout>, x: Tensor<5>) -> Tensor<5> {
    match dropout {
        Some(dropout) => dropout.forward(x),
        None => x,
    }
}
