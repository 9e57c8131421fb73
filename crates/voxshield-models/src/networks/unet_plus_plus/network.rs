use burn::module::Module;
use burn::tensor::{Device, Int, Tensor};
use voxshield_kernels::{DiceCe, KernelError};

use super::UnetPlusPlusConfig;
use super::config::LEVELS;
use super::node::{Node, TwoConv};
use crate::{Conv3d, NamedParameters, Segmenter, WeightRng, max_pool_halving};

/// A 3D U-Net++ (Zhou et al., arXiv 1807.10165), with the structure and the parameter names of
/// MONAI's `BasicUNetPlusPlus`.
///
/// Node `(i, j)` is at level `i` (each level has half the size of the one above) and column `j`:
///
/// ```text
/// x(0, 0) = convs(x)
/// x(i, 0) = convs(maxpool(x(i - 1, 0)))                                  i = 1..4
/// x(i, j) = convs(cat(x(i, 0), .., x(i, j - 1), up(x(i + 1, j - 1))))    i + j <= 4
/// logits  = head_4(x(0, 4)), or the mean of head_j(x(0, j)), j = 1..4, with deep supervision
/// ```
///
/// `convs` are two times convolution 3x3x3, instance normalisation and activation; `up` is a
/// transposed convolution with kernel and stride 2. Created by [`UnetPlusPlusConfig::init`], used
/// through [`Segmenter`].
///
/// Sizes are multiples of 16, one of them more than 16. MONAI repeats the last plane of odd sizes
/// on the way up; here they are refused, so that a position's place in the grid is the same at
/// every level. Normalisation has no learned parameters, as in VoxShield's own setting of MONAI's
/// network, whose default has. Heads that are not used keep their initial weights, which are
/// stored like the others.
///
/// With deep supervision, each head is trained with the criterion, as in the paper; VoxShield's
/// reference applies it to the mean of the logits.
#[derive(Module, Debug)]
pub struct UnetPlusPlus {
    encoder: Vec<TwoConv>,
    /// `columns[j - 1][i]` is node `(i, j)`.
    columns: Vec<Vec<Node>>,
    heads: Vec<Conv3d>,
    #[module(skip)]
    config: UnetPlusPlusConfig,
}

impl UnetPlusPlus {
    /// Builds a validated configuration. The weights are drawn encoder first, then the decoder
    /// column by column from the top, then the heads.
    pub(super) fn new(config: UnetPlusPlusConfig, rng: &mut WeightRng, device: &Device) -> Self {
        let activation = config.activation;
        let encoder = config.encoder();
        let encoder = encoder.map(|channels| TwoConv::new(channels, activation, rng, device));
        let encoder = encoder.collect();
        let columns = (1..LEVELS)
            .map(|column| {
                let nodes = config.column(column);
                let nodes = nodes.map(|node| Node::new(node, activation, rng, device));
                nodes.collect()
            })
            .collect();
        let heads = config.heads().map(|head| head.init(rng, device)).collect();
        Self {
            encoder,
            columns,
            heads,
            config,
        }
    }

    /// The configuration that the network was created from.
    pub fn config(&self) -> &UnetPlusPlusConfig {
        &self.config
    }

    /// The logits of the heads in use, from the first column to the last: four with deep
    /// supervision, otherwise one.
    ///
    /// Each is `[batch, classes, depth, height, width]` for `x`
    /// `[batch, in_channels, depth, height, width]`.
    pub fn head_logits(&self, x: Tensor<5>) -> Vec<Tensor<5>> {
        // `levels[i]` are x(i, 0), x(i, 1), ..
        let mut levels: Vec<Vec<Tensor<5>>> = Vec::with_capacity(LEVELS);
        let mut x = x;
        for (level, convs) in self.encoder.iter().enumerate() {
            if level > 0 {
                x = max_pool_halving(x);
            }
            x = convs.forward(x);
            levels.push(vec![x.clone()]);
        }
        for (column, nodes) in self.columns.iter().enumerate() {
            for (level, node) in nodes.iter().enumerate() {
                let below = levels[level + 1][column].clone();
                let x = node.forward(&levels[level], below);
                levels[level].push(x);
            }
        }
        let top = levels.swap_remove(0).into_iter().skip(1);
        let heads = self.heads.iter().zip(top).skip(self.first_head());
        heads.map(|(head, x)| head.forward(x)).collect()
    }

    fn first_head(&self) -> usize {
        match self.config.deep_supervision {
            true => 0,
            false => self.heads.len() - 1,
        }
    }
}

impl Segmenter for UnetPlusPlus {
    fn forward(&self, x: Tensor<5>) -> Tensor<5> {
        let heads = Tensor::stack::<6>(self.head_logits(x), 0);
        heads.mean_dim(0).squeeze_dim(0)
    }

    fn in_channels(&self) -> usize {
        self.config.in_channels
    }

    fn classes(&self) -> usize {
        self.config.out_channels
    }

    fn size_multiple(&self) -> [usize; 3] {
        [1 << (LEVELS - 1); 3]
    }

    /// Counts the heads in use; MONAI computes all of them.
    fn flops(&self, sizes: [usize; 3]) -> u64 {
        let at = |level: usize| sizes.map(|n| n >> level);
        let encoder = self.encoder.iter().enumerate();
        let encoder: u64 = encoder.map(|(level, convs)| convs.flops(at(level))).sum();
        let nodes = self
            .columns
            .iter()
            .flat_map(|nodes| nodes.iter().enumerate());
        let nodes: u64 = nodes.map(|(level, node)| node.flops(at(level))).sum();
        let heads = self.heads.iter().skip(self.first_head());
        let heads: u64 = heads.map(|head| head.spec().flops(sizes)).sum();
        encoder + nodes + heads
    }

    fn training_loss(
        &self,
        x: Tensor<5>,
        labels: Tensor<4, Int>,
        criterion: &DiceCe,
    ) -> Result<Tensor<1>, KernelError> {
        let heads = self.head_logits(x).into_iter();
        let losses = heads.map(|logits| criterion.forward(logits, labels.clone()));
        Ok(Tensor::cat(losses.collect::<Result<_, _>>()?, 0).mean())
    }
}

impl NamedParameters for UnetPlusPlus {
    fn parameter_name(&self, path: &[String]) -> String {
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        match path.as_slice() {
            ["encoder", "0", rest @ ..] => format!("conv_0_0.{}", leaf(rest)),
            ["encoder", level, rest @ ..] => format!("conv_{level}_0.convs.{}", leaf(rest)),
            ["columns", column, level, part, rest @ ..] => {
                let part = if *part == "upsample" {
                    "upsample.deconv"
                } else {
                    part
                };
                format!("upcat_{level}_{}.{part}.{}", next(column), leaf(rest))
            }
            ["heads", head, rest @ ..] => format!("final_conv_0_{}.{}", next(head), leaf(rest)),
            other => other.join("."),
        }
    }
}

/// Columns and heads are counted from 1 in MONAI.
fn next(index: &str) -> usize {
    index.parse().map_or(0, |index: usize| index + 1)
}

fn leaf(path: &[&str]) -> String {
    match path {
        [conv, "activation", ..] => format!("{conv}.adn.A.weight"),
        other => other.join("."),
    }
}
