use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::{ProjectionBlock, UnetrBlock, UnetrConfig, UnetrUpBlock, VisionTransformer, names};
use crate::segmenter::check_multiples;
use crate::{Conv3d, ModelError, NamedParameters, Segmenter, WeightRng};

/// UNETR, the structure and the parameter names of MONAI's `UNETR`.
///
/// A vision transformer sees the volume as cubes of 16 voxels. Its tokens at four depths take the
/// place of a U-Net's encoder: the deepest go up through the decoder, the others join it at 1/8, 1/4
/// and 1/2 of the resolution, and a convolutional block joins it at the full one.
///
/// The input has exactly the size of the configuration ([`UnetrConfig::input_size`]): every cube has
/// a learned position. Created by [`UnetrConfig::init`], used through [`Segmenter`].
///
/// Source: Hatamizadeh et al., arXiv 2103.10504; agrees with MONAI 1.6.1 (`proj_type` "conv", no
/// dropout).
#[derive(Module, Debug)]
pub struct Unetr {
    /// The transformer.
    pub vit: VisionTransformer,
    /// The features of the input itself.
    pub encoder: UnetrBlock,
    /// From tokens to features at 1/2, 1/4 and 1/8 of the resolution.
    pub projections: [ProjectionBlock; 3],
    /// From the bottom.
    pub decoder: [UnetrUpBlock; 4],
    /// 1x1x1, with bias.
    pub out: Conv3d,
    #[module(skip)]
    config: UnetrConfig,
}

impl Unetr {
    /// Builds a validated configuration.
    pub(super) fn new(config: UnetrConfig, rng: &mut WeightRng, device: &Device) -> Self {
        let (norm, features) = (config.norm, config.channels(0));
        Self {
            vit: VisionTransformer::new(&config, rng, device),
            encoder: UnetrBlock::new([config.in_channels, features], norm, rng, device),
            projections: config
                .projections()
                .map(|(channels, steps)| ProjectionBlock::new(channels, steps, norm, rng, device)),
            decoder: config
                .decoder()
                .map(|channels| UnetrUpBlock::joining(channels, norm, rng, device)),
            out: config.out().init(rng, device),
            config,
        }
    }

    /// The configuration that the network was created from.
    pub fn config(&self) -> &UnetrConfig {
        &self.config
    }
}

impl Segmenter for Unetr {
    fn forward(&self, x: Tensor<5>) -> Tensor<5> {
        let [third, sixth, ninth, last] = self.vit.forward(x.clone());
        let [half, quarter, eighth] = &self.projections;
        let skips = [
            eighth.forward(ninth),
            quarter.forward(sixth),
            half.forward(third),
            self.encoder.forward(x),
        ];
        let decoder = self.decoder.iter().zip(skips);
        let x = decoder.fold(last, |x, (block, skip)| block.forward(x, Some(skip)));
        self.out.forward(x)
    }

    fn in_channels(&self) -> usize {
        self.config.in_channels
    }

    fn classes(&self) -> usize {
        self.config.out_channels
    }

    /// The input size itself.
    fn size_multiple(&self) -> [usize; 3] {
        self.config.input_size
    }

    fn flops(&self, sizes: [usize; 3]) -> u64 {
        let tokens = self.vit.patch_embeddings.spec().output_sizes(sizes);
        let projections = self.projections.iter().map(|block| block.flops(tokens));
        let (_, decoder) = self
            .decoder
            .iter()
            .fold((tokens, 0), |(sizes, sum), block| {
                let (sizes, flops) = block.cost(sizes);
                (sizes, sum + flops)
            });
        self.vit.flops(sizes)
            + self.encoder.flops(sizes)
            + projections.sum::<u64>()
            + decoder
            + self.out.spec().flops(sizes)
    }

    fn check_input(&self, shape: &[usize; 5]) -> Result<(), ModelError> {
        let (expected, [_, _, sizes @ ..]) = (self.config.input_size, *shape);
        if sizes != expected {
            return Err(ModelError::InputSizeFixed { expected, sizes });
        }
        check_multiples(self, shape)
    }
}

impl NamedParameters for Unetr {
    fn parameter_name(&self, path: &[String]) -> String {
        names::monai(path)
    }
}
