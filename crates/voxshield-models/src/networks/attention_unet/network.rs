use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::AttentionUnetConfig;
use super::blocks::{EncoderBlock, UpBlock};
use crate::{Conv3d, NamedParameters, Segmenter, WeightRng};

/// A 3D U-Net with attention gates (Oktay et al., arXiv 1804.03999), with the structure and the
/// parameter names of MONAI's `AttentionUnet`.
///
/// ```text
/// x(0)     = block(x)
/// x(i + 1) = block(x(i)), strided
/// u(i)     = relu(batchnorm(transposed convolution(y(i + 1))))
/// y(i)     = prelu(instancenorm(conv(cat(gate(u(i), x(i)), u(i)))))
/// logits   = conv1(y(0))
/// ```
///
/// where `y` of the bottom is its `x`. Created by [`AttentionUnetConfig::init`], used through
/// [`Segmenter`].
///
/// Sizes are multiples of the strides' product. As by default, an input that leaves one voxel at
/// the bottom is refused: in training, batch normalisation makes a batch of one of it to nothing.
///
/// Blocks, gates and up-sampling normalise with the statistics of the batch in training, and with
/// running ones otherwise; see [`BatchNorm`](crate::BatchNorm).
#[derive(Module, Debug)]
pub struct AttentionUnet {
    /// The first block, then one for each level below the top.
    encoder: Vec<EncoderBlock>,
    /// From the top; `decoder[i]` gives `y(i)`.
    decoder: Vec<UpBlock>,
    head: Conv3d,
    #[module(skip)]
    config: AttentionUnetConfig,
}

impl AttentionUnet {
    /// Builds a validated configuration. The weights are drawn encoder first, then the decoder
    /// from the top, then the head.
    pub(super) fn new(config: AttentionUnetConfig, rng: &mut WeightRng, device: &Device) -> Self {
        let first = EncoderBlock::new([config.in_channels, config.top()], 1, rng, device);
        let mut encoder = vec![first];
        for (channels, &stride) in config.levels().zip(&config.strides) {
            encoder.push(EncoderBlock::new(channels, stride, rng, device));
        }
        let decoder = config
            .levels()
            .zip(&config.strides)
            .map(|([own, below], &stride)| UpBlock::new([below, own], stride, rng, device))
            .collect();
        Self {
            encoder,
            decoder,
            head: config.head().init(rng, device),
            config,
        }
    }

    /// The configuration that the network was created from.
    pub fn config(&self) -> &AttentionUnetConfig {
        &self.config
    }
}

impl Segmenter for AttentionUnet {
    fn forward(&self, x: Tensor<5>) -> Tensor<5> {
        let mut skips = Vec::with_capacity(self.encoder.len());
        let mut x = x;
        for (level, block) in self.encoder.iter().enumerate() {
            if level > 0 {
                skips.push(x.clone());
            }
            x = block.forward(x);
        }
        for (block, skip) in self.decoder.iter().zip(skips).rev() {
            x = block.forward(skip, x);
        }
        self.head.forward(x)
    }

    fn in_channels(&self) -> usize {
        self.config.in_channels
    }

    fn classes(&self) -> usize {
        self.config.out_channels
    }

    fn size_multiple(&self) -> [usize; 3] {
        [self.config.total_stride(); 3]
    }

    fn flops(&self, sizes: [usize; 3]) -> u64 {
        let mut sum = self.head.spec().flops(sizes);
        let mut run = |(sizes, flops)| {
            sum += flops;
            sizes
        };
        let bottom = self
            .encoder
            .iter()
            .fold(sizes, |n, block| run(block.cost(n)));
        let decoder = self.decoder.iter().rev();
        decoder.fold(bottom, |n, block| run(block.cost(n)));
        sum
    }
}

impl NamedParameters for AttentionUnet {
    /// MONAI nests each level inside the one above it: level `i` is `model.1` followed by `i` times
    /// `.submodule.1`, and the block that leads below it is `.submodule.0`, at the bottom
    /// `.submodule`.
    fn parameter_name(&self, path: &[String]) -> String {
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        match path.as_slice() {
            ["encoder", "0", rest @ ..] => format!("model.0{}", unit(rest)),
            ["encoder", level, rest @ ..] => {
                let level = level.parse::<usize>().unwrap_or_default();
                let last = if level == self.decoder.len() {
                    ""
                } else {
                    ".0"
                };
                let above = nested(level.saturating_sub(1));
                format!("{above}.submodule{last}{}", unit(rest))
            }
            ["decoder", level, rest @ ..] => {
                let level = nested(level.parse().unwrap_or_default());
                match rest {
                    ["up", rest @ ..] => format!("{level}.upconv.up.conv{}", unit(rest)),
                    ["norm", rest @ ..] => format!("{level}.upconv.up.adn.N{}", unit(rest)),
                    ["attention", layer, part, rest @ ..] => {
                        let layer = match *layer {
                            "w_g" => "W_g",
                            "w_x" => "W_x",
                            other => other,
                        };
                        let part = if *part == "norm" { "1" } else { "0.conv" };
                        format!("{level}.attention.{layer}.{part}{}", unit(rest))
                    }
                    other => format!("{level}{}", unit(other)),
                }
            }
            ["head", rest @ ..] => format!("model.2.conv{}", unit(rest)),
            other => other.join("."),
        }
    }
}

fn nested(level: usize) -> String {
    format!("model.1{}", ".submodule.1".repeat(level))
}

fn unit(path: &[&str]) -> String {
    let parts = path.iter().map(|part| match *part {
        "norm" => ".adn.N".to_string(),
        "activation" => ".adn.A".to_string(),
        "Prelu" => String::new(),
        "alpha" => ".weight".to_string(),
        other => format!(".{other}"),
    });
    parts.collect()
}
