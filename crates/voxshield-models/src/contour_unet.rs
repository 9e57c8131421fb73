use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use crate::layers::normalise_and_activate;
use crate::networks::limits::{affordable, not_zero};
use crate::{
    Activation, ActivationLayer, Conv3d, ConvSpec, ConvTranspose3d, ConvTransposeSpec, ConvUnit,
    ModelError, WeightRng, max_pool_halving,
};

/// How much of the centre a central-difference convolution takes away, 0 to 1; 0 is a plain one. The value of arXiv 2003.04092.
const THETA: f64 = 0.7;
const ACTIVATION: Activation = Activation::LeakyRelu(0.01);
/// An input of one voxel at the bottom has 2^15 along each axis then.
const MAX_LEVELS: usize = 16;

/// The structure of a [`ContourUnet`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContourUnetConfig {
    /// Channels of input and output.
    pub image_channels: usize,
    /// Channels of each level from the top to the bottom, 2 to 16 levels; UMed has 16-32-64-128.
    pub channels: Vec<usize>,
}

impl ContourUnetConfig {
    /// Checks that a network of this structure exists and is of a sensible size.
    ///
    /// # Errors
    /// [`ModelError::Zero`], [`ModelError::TooFewLevels`], [`ModelError::OutOfRange`] (more than 16 levels) or [`ModelError::TooLarge`]
    /// (more than 2^30 parameters).
    pub fn validate(&self) -> Result<(), ModelError> {
        not_zero("image_channels", &[self.image_channels])?;
        not_zero("channels", &self.channels)?;
        match self.channels.len() {
            found @ ..2 => Err(ModelError::TooFewLevels { found }),
            2..=MAX_LEVELS => affordable(self.parameter_count()),
            found => Err(ModelError::OutOfRange {
                what: "channels",
                expected: "at most 16 levels",
                found: found as f64,
            }),
        }
    }

    /// The number of weights and biases of the network, without creating it; saturating.
    pub fn parameter_count(&self) -> u64 {
        let convs = |input: usize, output: usize| {
            let conv = |input| ConvSpec::new([input, output], 3).parameter_count();
            conv(input).saturating_add(conv(output))
        };
        let inputs = [self.image_channels].into_iter();
        let inputs = inputs.chain(self.channels.iter().copied());
        let encoders = inputs
            .zip(&self.channels)
            .map(|(input, &output)| convs(input, output));
        let decoders = self.channels.windows(2).map(|pair| {
            let up = ConvTransposeSpec::tiling([pair[1], pair[0]], [2; 3]);
            let convs = convs(pair[0].saturating_mul(2), pair[0]);
            up.parameter_count().saturating_add(convs)
        });
        let top = self.channels.first().copied().unwrap_or_default();
        let head = ConvSpec::new([top, self.image_channels], 1).parameter_count();
        encoders.chain(decoders).fold(head, u64::saturating_add)
    }

    /// Creates the network on `device` with PyTorch's default initial weights drawn from `seed`.
    ///
    /// # Errors
    /// As [`validate`](Self::validate).
    pub fn init(&self, seed: u64, device: &Device) -> Result<ContourUnet, ModelError> {
        self.validate()?;
        // There are two levels at least.
        let bottom = self.channels.len() - 1;
        let mut rng = WeightRng::new(seed);
        let rng = &mut rng;
        let mut input = self.image_channels;
        let mut down = Vec::with_capacity(bottom);
        for &channels in &self.channels[..bottom] {
            down.push(Encoder::new([input, channels], rng, device));
            input = channels;
        }
        let bottom = Encoder::new([input, self.channels[bottom]], rng, device);
        let up = self
            .channels
            .windows(2)
            .map(|pair| Decoder::new(pair[0], pair[1], rng, device));
        Ok(ContourUnet {
            down,
            bottom,
            up: up.collect(),
            head: ConvSpec::new([self.channels[0], self.image_channels], 1).init(rng, device),
        })
    }
}

/// A U-Net whose encoder sees differences to the centre voxel, so that it answers to edges more than to intensities: the contour
/// generator of UMed (arXiv 2403.14250). Instance normalisation and the size of the head are those of a 3D re-implementation; the
/// central differences are the textbook operator, where that one mixes two convolutions by a learned weight.
///
/// Each level has two convolutions of 3x3x3 with instance normalisation and leaky ReLU, central-difference ones in the encoder;
/// maximum pooling on the way down, transposed convolutions on the way up, a head of 1x1x1.
#[derive(Module, Debug)]
pub struct ContourUnet {
    down: Vec<Encoder>,
    bottom: Encoder,
    up: Vec<Decoder>,
    head: Conv3d,
}

impl ContourUnet {
    /// `[batch, channel, depth, height, width]`, kept.
    ///
    /// # Panics
    /// Inside a tensor operation, if the channels are not the network's, or a size is no multiple of
    /// [`size_multiple`](Self::size_multiple).
    pub fn forward(&self, x: Tensor<5>) -> Tensor<5> {
        let mut skips = Vec::with_capacity(self.down.len());
        let mut x = x;
        for encoder in &self.down {
            let features = encoder.forward(x);
            x = max_pool_halving(features.clone());
            skips.push(features);
        }
        let mut x = self.bottom.forward(x);
        for (decoder, skip) in self.up.iter().zip(skips).rev() {
            x = decoder.forward(skip, x);
        }
        self.head.forward(x)
    }

    /// What the sizes `[depth, height, width]` of an input have to be multiples of.
    pub fn size_multiple(&self) -> usize {
        1 << self.down.len()
    }
}

/// Two central-difference convolutions, each with normalisation and activation.
#[derive(Module, Debug)]
struct Encoder {
    conv_0: CentralDifference,
    conv_1: CentralDifference,
    activation: ActivationLayer,
}

impl Encoder {
    fn new([input, output]: [usize; 2], rng: &mut WeightRng, device: &Device) -> Self {
        Self {
            conv_0: CentralDifference::new([input, output], rng, device),
            conv_1: CentralDifference::new([output; 2], rng, device),
            activation: ACTIVATION.init(device),
        }
    }

    fn forward(&self, x: Tensor<5>) -> Tensor<5> {
        [&self.conv_0, &self.conv_1].into_iter().fold(x, |x, conv| {
            normalise_and_activate(conv.forward(x), None, Some(&self.activation))
        })
    }
}

/// Up-sampling, then two convolutions over what comes from below and from beside.
#[derive(Module, Debug)]
struct Decoder {
    up: ConvTranspose3d,
    conv_0: ConvUnit,
    conv_1: ConvUnit,
}

impl Decoder {
    fn new(channels: usize, below: usize, rng: &mut WeightRng, device: &Device) -> Self {
        let up = ConvTransposeSpec::tiling([below, channels], [2; 3]).init(rng, device);
        let mut unit = |input| {
            let spec = ConvSpec::new([input, channels], 3);
            ConvUnit::new(spec, Some(ACTIVATION), rng, device)
        };
        Self {
            up,
            conv_0: unit(2 * channels),
            conv_1: unit(channels),
        }
    }

    fn forward(&self, skip: Tensor<5>, below: Tensor<5>) -> Tensor<5> {
        let joined = Tensor::cat(vec![skip, self.up.forward(below)], 1);
        self.conv_1.forward(self.conv_0.forward(joined))
    }
}

/// `out(p) = b + sum_k w_k x(p + k) - theta x(p) sum_k w_k` over a kernel of 3x3x3 (arXiv 2003.04092): a convolution whose centre
/// weight is smaller by theta times the sum of all.
#[derive(Module, Debug)]
struct CentralDifference {
    conv: Conv3d,
}

impl CentralDifference {
    fn new(channels: [usize; 2], rng: &mut WeightRng, device: &Device) -> Self {
        Self {
            conv: ConvSpec::new(channels, 3).init(rng, device),
        }
    }

    fn forward(&self, x: Tensor<5>) -> Tensor<5> {
        let weight = self.conv.weight.val();
        let sum = weight.clone().sum_dim(2).sum_dim(3).sum_dim(4);
        let mut centre = vec![0.0f32; 27];
        centre[13] = THETA as f32;
        let centre = TensorData::new(centre, [1, 1, 3, 3, 3]);
        let centre = Tensor::<5>::from_data(centre, &weight.device().without_autodiff());
        self.conv.forward_with(x, weight - sum * centre)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(tensor: Tensor<5>) -> Vec<f32> {
        tensor.into_data().iter::<f32>().collect()
    }

    /// Against the formula, voxel by voxel, with zeros outside.
    #[test]
    fn differences_are_those_of_the_formula() {
        let device = Device::default();
        let layer = CentralDifference::new([2, 3], &mut WeightRng::new(5), &device);
        let sizes = [3usize, 4, 5];
        let voxels: usize = sizes.iter().product();
        let x: Vec<f32> = (0..2 * voxels)
            .map(|i| ((i * 37) % 23) as f32 / 23.0)
            .collect();
        let input = TensorData::new(x.clone(), [1, 2, 3, 4, 5]);
        let found = values(layer.forward(Tensor::from_data(input, &device)));
        let weight = values(layer.conv.weight.val());
        let bias = layer.conv.bias.as_ref().map(|bias| bias.val().into_data());
        let bias: Vec<f32> = bias.iter().flat_map(|data| data.iter::<f32>()).collect();
        let at = |channel: usize, p: [i64; 3]| {
            let inside = (0..3).all(|axis| (0..sizes[axis] as i64).contains(&p[axis]));
            let flat = (p[0] * 4 + p[1]) * 5 + p[2];
            if inside {
                f64::from(x[channel * voxels + flat as usize])
            } else {
                0.0
            }
        };
        for (index, found) in found.iter().enumerate() {
            let (output, p) = (index / voxels, index % voxels);
            let p = [p / 20, p / 5 % 4, p % 5].map(|c| c as i64);
            let mut expected = f64::from(bias[output]);
            for input in 0..2 {
                let mut sum = 0.0;
                for k in 0..27i64 {
                    let w = f64::from(weight[(output * 2 + input) * 27 + k as usize]);
                    let offset = [k / 9 - 1, k / 3 % 3 - 1, k % 3 - 1];
                    expected += w * at(input, std::array::from_fn(|axis| p[axis] + offset[axis]));
                    sum += w;
                }
                expected -= 0.7 * sum * at(input, p);
            }
            assert!(
                (f64::from(*found) - expected).abs() < 1e-5,
                "{index}: {found} {expected}"
            );
        }
    }

    #[test]
    fn shapes_are_kept_and_structures_without_levels_are_refused() {
        let device = Device::default();
        let config = ContourUnetConfig {
            image_channels: 2,
            channels: vec![4, 6, 8],
        };
        let network = config.init(1, &device).unwrap();
        assert_eq!(network.size_multiple(), 4);
        assert_eq!(network.num_params() as u64, config.parameter_count());
        let x = Tensor::ones([1, 2, 8, 4, 12], &device);
        assert_eq!(network.forward(x).dims(), [1, 2, 8, 4, 12]);
        for channels in [vec![], vec![4], vec![4, 0]] {
            let bad = ContourUnetConfig {
                channels,
                ..config.clone()
            };
            assert!(bad.init(1, &device).is_err(), "{bad:?}");
        }
    }
}
