use burn::module::Module;
use burn::tensor::{Device, Int, Tensor};
use voxshield_kernels::{DiceCe, KernelError};

use super::pre_activation::conv3;
use super::standardised::standardised;
use super::{
    ConResHeads, ConResLevel, ConResNetConfig, PreActivation, PreActivationBlock, ResidualInput,
    slice_difference,
};
use crate::parameters::pytorch_name;
use crate::{
    ChannelDropout, Conv3d, ConvSpec, NamedParameters, Segmenter, WeightRng, upsample_aligned,
};

/// The context-residual network (ConResNet, arXiv 2011.14155): a U-Net whose decoder learns, beside
/// the segmentation, where it changes from slice to slice. It takes the differences between slices,
/// `|x_z - x_{z-1}|`, as a second input, which it computes itself.
///
/// Encoder: a convolution, then residual blocks of group normalisation, ReLU and weight-standardised
/// convolutions: 1 at the full resolution, 2 at a half, a quarter and an eighth, and 2 more with
/// dilation 2. Decoder: three [`ConResLevel`]s, trilinear up-sampling. 1x1x1 heads for the classes
/// and, at three resolutions, for the residuals.
///
/// Sizes of an input may be any. [`Segmenter::flops`] counts all heads and no interpolation.
///
/// # Training
///
/// With labels `y`, the loss is that of the criterion plus `W(res) + (W(res2) + W(res4)) / 2`, where
/// `q_{b,c,z} = 1` where class `c` begins or ends between the slices `z - 1` and `z`, and
/// `W(r) = mean(p q softplus(-r) + (1 - q) softplus(r))`, `p_{b,c} = max(ln(N / (N_pos + 1)), 1e-5)`,
/// `N` voxels of which `N_pos` have `q = 1`.
///
/// # Differences from the paper
///
/// Softmax classes instead of sigmoid regions, hence the criterion of the other networks instead of
/// Dice and binary cross-entropy; and the cross-entropy of the residuals is taken of their logits,
/// where the authors' code takes the logarithm of clamped logits.
#[derive(Module, Debug)]
pub struct ConResNet {
    /// To the width of the full resolution.
    pub stem: Conv3d,
    /// The full resolution.
    pub stage0: Vec<PreActivationBlock>,
    /// To a half.
    pub down1: PreActivation,
    /// A half.
    pub stage1: Vec<PreActivationBlock>,
    /// To a quarter.
    pub down2: PreActivation,
    /// A quarter.
    pub stage2: Vec<PreActivationBlock>,
    /// To an eighth.
    pub down3: PreActivation,
    /// An eighth.
    pub stage3: Vec<PreActivationBlock>,
    /// An eighth, dilation 2.
    pub stage4: Vec<PreActivationBlock>,
    /// To the width of a quarter, with dropout.
    pub bottleneck: PreActivation,
    /// The decoder at a quarter.
    pub level4: ConResLevel,
    /// The decoder at a half.
    pub level2: ConResLevel,
    /// The decoder at the full resolution.
    pub level1: ConResLevel,
    /// The classes.
    pub head_seg: Conv3d,
    /// The residuals at the full resolution.
    pub head_res: Conv3d,
    /// The residuals at a half.
    pub head_res2: Conv3d,
    /// The residuals at a quarter.
    pub head_res4: Conv3d,
    #[module(skip)]
    config: ConResNetConfig,
}

impl ConResNet {
    /// Builds a validated configuration. The weights are drawn in the order of the fields, the entry
    /// of a level's residuals before the level.
    pub(super) fn new(config: ConResNetConfig, rng: &mut WeightRng, device: &Device) -> Self {
        let [w0, w1, w2, w3] = config.widths;
        let (c, groups) = (config.in_channels, config.groups);
        let pre = |conv, rng: &mut WeightRng| PreActivation::new(conv, groups, rng, device);
        let down = |channels, rng: &mut WeightRng| pre(conv3(channels).with_stride([2; 3]), rng);
        let stage = |width, blocks, dilation, rng: &mut WeightRng| {
            let conv = conv3([width; 2]).with_dilation(dilation);
            let block = |_| PreActivationBlock::new(conv, groups, rng, device);
            (0..blocks).map(block).collect()
        };
        let level = |channels, residual_in, rng: &mut WeightRng| {
            ConResLevel::new(channels, groups, residual_in, rng, device)
        };
        let head = |width, rng: &mut WeightRng| {
            ConvSpec::new([width, config.classes], 1).init(rng, device)
        };
        Self {
            stem: conv3([c, w0]).init(rng, device),
            stage0: stage(w0, 1, 1, rng),
            down1: down([w0, w1], rng),
            stage1: stage(w1, 2, 1, rng),
            down2: down([w1, w2], rng),
            stage2: stage(w2, 2, 1, rng),
            down3: down([w2, w3], rng),
            stage3: stage(w3, 2, 1, rng),
            stage4: stage(w3, 2, 2, rng),
            bottleneck: PreActivation {
                dropout: Some(ChannelDropout::new(config.dropout, rng)),
                ..pre(conv3([w3, w2]), rng)
            },
            level4: {
                let raw = conv3([c, w1]).init(rng, device);
                level([w2, w1], Some(ResidualInput::Raw(raw)), rng)
            },
            level2: {
                let features = pre(conv3([w1, w0]), rng);
                level([w1, w0], Some(ResidualInput::Features(features)), rng)
            },
            level1: level([w0, w0], None, rng),
            head_seg: head(w0, rng),
            head_res: head(w0, rng),
            head_res2: head(w0, rng),
            head_res4: head(w1, rng),
            config,
        }
    }

    /// The configuration that the network was created from.
    pub fn config(&self) -> &ConResNetConfig {
        &self.config
    }

    /// The logits of the classes and of the residuals, for `x`
    /// `[batch, in_channels, depth, height, width]`.
    ///
    /// # Panics
    ///
    /// As [`Segmenter::forward`].
    pub fn heads(&self, x: Tensor<5>) -> ConResHeads {
        let [_, _, sizes @ ..] = x.dims();
        let (segmentation, [full, half, quarter]) = self.features(x);
        ConResHeads {
            segmentation: self.head_seg.forward(segmentation),
            residuals: [
                self.head_res.forward(full),
                upsample_aligned(self.head_res2.forward(half), sizes),
                upsample_aligned(self.head_res4.forward(quarter), sizes),
            ],
        }
    }

    /// What the heads see: the segmentation path at the end, the residual path at three resolutions,
    /// the full one first.
    fn features(&self, x: Tensor<5>) -> (Tensor<5>, [Tensor<5>; 3]) {
        let run = |stage: &[PreActivationBlock], x| {
            let blocks = stage.iter();
            blocks.fold(x, |x, block| block.forward(x))
        };
        let differences = slice_difference(x.clone());
        let x1 = run(&self.stage0, standardised(&self.stem, x));
        let x2 = run(&self.stage1, self.down1.forward(x1.clone()));
        let x4 = run(&self.stage2, self.down2.forward(x2.clone()));
        let x8 = run(&self.stage3, self.down3.forward(x4.clone()));
        let x8 = run(&self.stage4, x8);
        let bottom = self.bottleneck.forward(x8);
        let (s4, o4) = self.level4.forward(bottom, x4, differences);
        let (s2, o2) = self.level2.forward(s4, x2, o4.clone());
        let (s1, o1) = self.level1.forward(s2, x1, o2.clone());
        (s1, [o1, o2, o4])
    }
}

impl Segmenter for ConResNet {
    fn draws_in_training(&self) -> bool {
        self.config.dropout > 0.0
    }

    fn forward(&self, x: Tensor<5>) -> Tensor<5> {
        self.head_seg.forward(self.features(x).0)
    }

    fn in_channels(&self) -> usize {
        self.config.in_channels
    }

    fn classes(&self) -> usize {
        self.config.classes
    }

    fn size_multiple(&self) -> [usize; 3] {
        [1; 3]
    }

    fn flops(&self, sizes: [usize; 3]) -> u64 {
        self.cost(sizes)
    }

    fn training_loss(
        &self,
        x: Tensor<5>,
        labels: Tensor<4, Int>,
        criterion: &DiceCe,
    ) -> Result<Tensor<1>, KernelError> {
        self.heads(x).loss(labels, criterion)
    }
}

impl NamedParameters for ConResNet {
    fn parameter_name(&self, path: &[String]) -> String {
        let variant = |part: &&str| matches!(*part, "Raw" | "Features");
        let path = path.iter().map(String::as_str);
        pytorch_name(&path.filter(|part| !variant(part)).collect::<Vec<_>>())
    }
}
