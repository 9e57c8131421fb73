use burn::module::Module;
use burn::tensor::activation::{relu, sigmoid};
use burn::tensor::{Device, Tensor};

use crate::layers::conv_unit_parameters;
use crate::{
    Activation, BatchNorm, ConvNorm, ConvSpec, ConvTranspose3d, ConvTransposeSpec, ConvUnit,
    WeightRng,
};

/// Two times convolution 3x3x3, batch normalisation, ReLU; the first one strided (MONAI's
/// `ConvBlock`).
#[derive(Module, Debug)]
pub(super) struct EncoderBlock {
    conv: Vec<ConvNorm>,
}

impl EncoderBlock {
    pub(super) fn new(
        channels: [usize; 2],
        stride: usize,
        rng: &mut WeightRng,
        device: &Device,
    ) -> Self {
        let convs = Self::specs(channels, stride);
        Self {
            conv: convs.map(|spec| ConvNorm::new(spec, rng, device)).into(),
        }
    }

    pub(super) fn forward(&self, x: Tensor<5>) -> Tensor<5> {
        self.conv.iter().fold(x, |x, conv| relu(conv.forward(x)))
    }

    pub(super) fn cost(&self, sizes: [usize; 3]) -> ([usize; 3], u64) {
        self.conv.iter().fold((sizes, 0), |(sizes, sum), layer| {
            let spec = layer.conv.spec();
            (spec.output_sizes(sizes), sum + spec.flops(sizes))
        })
    }

    pub(super) fn parameter_count(channels: [usize; 2]) -> u64 {
        let convs = Self::specs(channels, 1).map(ConvNorm::parameter_count);
        convs.into_iter().fold(0, u64::saturating_add)
    }

    fn specs([input, output]: [usize; 2], stride: usize) -> [ConvSpec; 2] {
        let first = ConvSpec::new([input, output], 3).with_stride([stride; 3]);
        [first, ConvSpec::new([output; 2], 3)]
    }
}

/// What lets a skip connection through, voxel by voxel (MONAI's `AttentionBlock`):
/// `x * sigmoid(psi(relu(w_g(g) + w_x(x))))`.
///
/// `w_g`, `w_x` (to half of the channels) and `psi` (to one) are convolutions 1x1x1 with batch
/// normalisation. In the paper the gate `g` is coarser than `x` and the coefficients are
/// up-sampled; here, as in MONAI, `g` has been up-sampled to the size of `x`.
#[derive(Module, Debug)]
pub struct AttentionGate {
    w_g: ConvNorm,
    w_x: ConvNorm,
    psi: ConvNorm,
}

impl AttentionGate {
    /// A gate for `channels` channels of both inputs.
    pub(super) fn new(channels: usize, rng: &mut WeightRng, device: &Device) -> Self {
        let [w_g, w_x, psi] = Self::specs(channels).map(|spec| ConvNorm::new(spec, rng, device));
        Self { w_g, w_x, psi }
    }

    /// The share of each voxel that passes, 0..1: `[batch, 1, depth, height, width]` for `g` and
    /// `x`, both `[batch, channel, depth, height, width]`.
    pub fn coefficients(&self, g: Tensor<5>, x: Tensor<5>) -> Tensor<5> {
        let joint = relu(self.w_g.forward(g) + self.w_x.forward(x));
        sigmoid(self.psi.forward(joint))
    }

    fn flops(&self, sizes: [usize; 3]) -> u64 {
        let layers = [&self.w_g, &self.w_x, &self.psi];
        layers
            .map(|layer| layer.conv.spec().flops(sizes))
            .iter()
            .sum()
    }

    fn specs(channels: usize) -> [ConvSpec; 3] {
        let half = channels / 2;
        [[channels, half], [channels, half], [half, 1]].map(|channels| ConvSpec::new(channels, 1))
    }
}

/// One step of the decoder: up-sampling, the gate, and a convolution over both (MONAI's
/// `AttentionLayer`).
#[derive(Module, Debug)]
pub(super) struct UpBlock {
    up: ConvTranspose3d,
    norm: BatchNorm,
    attention: AttentionGate,
    merge: ConvUnit,
}

impl UpBlock {
    /// `channels` is `[below, own]`.
    pub(super) fn new(
        [below, own]: [usize; 2],
        stride: usize,
        rng: &mut WeightRng,
        device: &Device,
    ) -> Self {
        let up = ConvTransposeSpec::overlapping([below, own], [stride; 3]);
        Self {
            up: up.init(rng, device),
            norm: BatchNorm::new(own, device),
            attention: AttentionGate::new(own, rng, device),
            merge: ConvUnit::new(
                ConvSpec::new([2 * own, own], 3),
                Some(Activation::Prelu),
                rng,
                device,
            ),
        }
    }

    pub(super) fn forward(&self, skip: Tensor<5>, below: Tensor<5>) -> Tensor<5> {
        let below = relu(self.norm.forward(self.up.forward(below)));
        let share = self.attention.coefficients(below.clone(), skip.clone());
        self.merge
            .forward(Tensor::cat(vec![skip * share, below], 1))
    }

    pub(super) fn cost(&self, sizes: [usize; 3]) -> ([usize; 3], u64) {
        let up = self.up.spec();
        let output = up.output_sizes(sizes);
        let merge = self.merge.conv.spec().flops(output);
        (
            output,
            up.flops(sizes) + self.attention.flops(output) + merge,
        )
    }

    pub(super) fn parameter_count([below, own]: [usize; 2]) -> u64 {
        let up = ConvTransposeSpec::overlapping([below, own], [2; 3]);
        let norm = (own as u64).saturating_mul(2);
        let gate = AttentionGate::specs(own).map(ConvNorm::parameter_count);
        let merge = conv_unit_parameters([own.saturating_mul(2), own], Activation::Prelu);
        let rest = [up.parameter_count(), norm, merge];
        gate.into_iter().chain(rest).fold(0, u64::saturating_add)
    }
}
