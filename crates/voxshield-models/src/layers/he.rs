//! He's initial weights, which nnU-Net draws for every convolution.

use burn::tensor::Device;

use super::{Conv3d, ConvSpec, ConvTranspose3d, ConvTransposeSpec, WeightRng, constant};

impl ConvSpec {
    /// Creates the layer with He's initial weights for a leaky ReLU with `slope`
    /// (arXiv 1502.01852; PyTorch's `kaiming_normal_`).
    ///
    /// The weight `[out, in, depth, height, width]` is drawn from `N(0, s^2)`,
    /// `s^2 = 2 / ((1 + slope^2) * in * kernel voxels)`; the bias is 0.
    pub fn init_he(self, slope: f64, rng: &mut WeightRng, device: &Device) -> Conv3d {
        let [input, output] = self.channels;
        let [d, h, w] = self.kernel;
        let deviation = deviation(input, self.kernel, slope);
        Conv3d {
            weight: rng.normal([output, input, d, h, w], deviation, device),
            bias: self.bias.then(|| constant([output], 0.0, device)),
            spec: self,
        }
    }
}

impl ConvTransposeSpec {
    /// As [`ConvSpec::init_he`]; the weight is `[in, out, depth, height, width]`, and `out` takes
    /// the place of `in` in the formula, as in PyTorch.
    pub fn init_he(self, slope: f64, rng: &mut WeightRng, device: &Device) -> ConvTranspose3d {
        let [input, output] = self.channels;
        let [d, h, w] = self.kernel;
        let deviation = deviation(output, self.kernel, slope);
        ConvTranspose3d {
            weight: rng.normal([input, output, d, h, w], deviation, device),
            bias: self.bias.then(|| constant([output], 0.0, device)),
            spec: self,
        }
    }
}

fn deviation(fan_channels: usize, kernel: [usize; 3], slope: f64) -> f64 {
    let fan_in = (fan_channels * kernel.iter().product::<usize>()) as f64;
    (2.0 / ((1.0 + slope * slope) * fan_in)).sqrt()
}
