use burn::module::Module;
use burn::tensor::{Device, Tensor};

use crate::{Activation, ConvSpec, ConvTranspose3d, ConvTransposeSpec, ConvUnit, WeightRng};

/// Two convolutions of 3x3x3, each with instance normalisation and activation (MONAI's `TwoConv`).
#[derive(Module, Debug)]
pub(super) struct TwoConv {
    conv_0: ConvUnit,
    conv_1: ConvUnit,
}

impl TwoConv {
    pub(super) fn new(
        [input, output]: [usize; 2],
        activation: Activation,
        rng: &mut WeightRng,
        device: &Device,
    ) -> Self {
        let mut unit = |channels| {
            let spec = ConvSpec::new(channels, 3);
            ConvUnit::new(spec, Some(activation), rng, device)
        };
        Self {
            conv_0: unit([input, output]),
            conv_1: unit([output; 2]),
        }
    }

    pub(super) fn forward(&self, x: Tensor<5>) -> Tensor<5> {
        self.conv_1.forward(self.conv_0.forward(x))
    }

    pub(super) fn flops(&self, sizes: [usize; 3]) -> u64 {
        let units = [&self.conv_0, &self.conv_1];
        units.map(|unit| unit.conv.spec().flops(sizes)).iter().sum()
    }
}

/// The channels of a [`Node`].
#[derive(Debug, Clone, Copy)]
pub(super) struct NodeSpec {
    /// What comes from the level below,
    pub(super) below: usize,
    /// is up-sampled to so many,
    pub(super) up: usize,
    /// joined to these of its own level,
    pub(super) skip: usize,
    /// and mapped to these.
    pub(super) output: usize,
}

impl NodeSpec {
    pub(super) fn upsample(&self) -> ConvTransposeSpec {
        ConvTransposeSpec::tiling([self.below, self.up], [2; 3])
    }

    pub(super) fn convs(&self) -> [usize; 2] {
        [self.skip.saturating_add(self.up), self.output]
    }
}

/// A node of the decoder: `convs(cat(skip, upsample(below)))` (MONAI's `UpCat`).
#[derive(Module, Debug)]
pub(super) struct Node {
    upsample: ConvTranspose3d,
    convs: TwoConv,
}

impl Node {
    pub(super) fn new(
        spec: NodeSpec,
        activation: Activation,
        rng: &mut WeightRng,
        device: &Device,
    ) -> Self {
        Self {
            upsample: spec.upsample().init(rng, device),
            convs: TwoConv::new(spec.convs(), activation, rng, device),
        }
    }

    /// `skip` are all earlier maps of the node's level, the encoder's first.
    pub(super) fn forward(&self, skip: &[Tensor<5>], below: Tensor<5>) -> Tensor<5> {
        let mut maps = skip.to_vec();
        maps.push(self.upsample.forward(below));
        self.convs.forward(Tensor::cat(maps, 1))
    }

    /// For an output of `sizes`.
    pub(super) fn flops(&self, sizes: [usize; 3]) -> u64 {
        self.upsample.spec().flops(sizes.map(|n| n / 2)) + self.convs.flops(sizes)
    }
}
