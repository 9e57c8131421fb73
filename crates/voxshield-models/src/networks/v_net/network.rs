use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::VNetConfig;
use super::blocks::{DownTransition, UpTransition};
use crate::{Conv3d, ConvNorm, NamedParameters, Segmenter, WeightRng, elu};

/// The V-Net of Milletari et al. (arXiv 1606.04797), with the structure and the parameter names of
/// MONAI's `VNet`.
///
/// Five levels with residual chains of 1, 1, 2, 3, 2 convolutions 5x5x5 on the way down and 2, 2,
/// 1, 1 on the way up, batch normalisation after every convolution but the last, ELU, strided
/// convolutions with kernel 2 instead of pooling:
///
/// ```text
/// x(0)     = elu(conv(x) + x repeated to all channels)
/// x(i + 1) = down(x(i))
/// y(i)     = up(y(i + 1), x(i))
/// logits   = conv1(elu(conv(y(0))))
/// ```
///
/// where `y` of the bottom is its `x`. Created by [`VNetConfig::init`], used through
/// [`Segmenter`].
///
/// Sizes are multiples of 16. As by default, an input that leaves one voxel at the bottom is
/// refused: in training, batch normalisation makes a batch of one of it to nothing.
///
/// In training, batch normalisation uses the batch and [`VNetConfig::dropout`] drops channels;
/// otherwise running statistics are used and nothing is dropped. ELU and batch normalisation are
/// MONAI's; the paper has PReLU and no normalisation.
#[derive(Module, Debug)]
pub struct VNet {
    first: ConvNorm,
    down: Vec<DownTransition>,
    /// From the bottom.
    up: Vec<UpTransition>,
    last: ConvNorm,
    head: Conv3d,
    #[module(skip)]
    config: VNetConfig,
}

impl VNet {
    /// Builds a validated configuration. The weights are drawn in the order of the forward pass.
    pub(super) fn new(config: VNetConfig, rng: &mut WeightRng, device: &Device) -> Self {
        let first = ConvNorm::new(config.first(), rng, device);
        let down = config.down();
        let down = down
            .map(|spec| DownTransition::new(spec, rng, device))
            .collect();
        let up = config.up();
        let up = up
            .map(|spec| UpTransition::new(spec, rng, device))
            .collect();
        Self {
            first,
            down,
            up,
            last: ConvNorm::new(config.last(), rng, device),
            head: config.head().init(rng, device),
            config,
        }
    }

    /// The configuration that the network was created from.
    pub fn config(&self) -> &VNetConfig {
        &self.config
    }
}

impl Segmenter for VNet {
    fn draws_in_training(&self) -> bool {
        self.config.dropout > 0.0
    }

    fn forward(&self, x: Tensor<5>) -> Tensor<5> {
        let copies = self.config.width / self.config.in_channels;
        let repeated = x.clone().repeat_dim(1, copies);
        let mut x = elu(self.first.forward(x) + repeated);
        let mut skips = Vec::with_capacity(self.down.len());
        for block in &self.down {
            skips.push(x.clone());
            x = block.forward(x);
        }
        for (block, skip) in self.up.iter().zip(skips.into_iter().rev()) {
            x = block.forward(x, skip);
        }
        self.head.forward(elu(self.last.forward(x)))
    }

    fn in_channels(&self) -> usize {
        self.config.in_channels
    }

    fn classes(&self) -> usize {
        self.config.out_channels
    }

    fn size_multiple(&self) -> [usize; 3] {
        [1 << self.down.len(); 3]
    }

    fn flops(&self, sizes: [usize; 3]) -> u64 {
        let ends = [&self.first.conv, &self.last.conv, &self.head];
        let mut sum: u64 = ends.map(|conv| conv.spec().flops(sizes)).iter().sum();
        let mut run = |(sizes, flops)| {
            sum += flops;
            sizes
        };
        let bottom = self.down.iter().fold(sizes, |n, block| run(block.cost(n)));
        self.up.iter().fold(bottom, |n, block| run(block.cost(n)));
        sum
    }
}

impl NamedParameters for VNet {
    /// MONAI calls a block by the channels of its level, whatever the width.
    fn parameter_name(&self, path: &[String]) -> String {
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        match path.as_slice() {
            ["first", rest @ ..] => format!("in_tr.conv_block.{}", leaf(rest)),
            ["down", index, rest @ ..] => format!("down_tr{}.{}", 32 << at(index), leaf(rest)),
            ["up", index, rest @ ..] => format!("up_tr{}.{}", 256 >> at(index), leaf(rest)),
            ["last", rest @ ..] => format!("out_tr.conv_block.{}", leaf(rest)),
            ["head", rest @ ..] => format!("out_tr.conv2.{}", leaf(rest)),
            other => other.join("."),
        }
    }
}

fn at(index: &str) -> u32 {
    index.parse().unwrap_or_default()
}

fn leaf(path: &[&str]) -> String {
    path.join(".").replace("norm.", "adn.N.")
}
