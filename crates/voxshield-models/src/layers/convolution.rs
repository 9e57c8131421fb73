use burn::module::Param;
use burn::nn::PaddingConfig3d;
use burn::nn::conv::{Conv3d, ConvTranspose3d};
use burn::tensor::{Device, Tensor, TensorData};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// The generator that initial weights are drawn from: ChaCha8 on the host.
///
/// Burn's own generator belongs to a device and is shared between threads, so its draws depend on
/// what else runs; these depend on the seed and the order of the calls only.
#[derive(Debug, Clone)]
pub struct WeightRng(ChaCha8Rng);

impl WeightRng {
    /// A generator whose stream is a function of `seed`.
    pub fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// A parameter with elements drawn from `U(-bound, bound)`, in C order, with 24 bits each.
    pub fn uniform<const D: usize>(
        &mut self,
        shape: [usize; D],
        bound: f32,
        device: &Device,
    ) -> Param<Tensor<D>> {
        const STEP: f32 = 1.0 / (1 << 24) as f32;
        let count = shape.iter().product();
        let values: Vec<f32> = (0..count)
            .map(|_| bound * (2.0 * (self.0.next_u32() >> 8) as f32 * STEP - 1.0))
            .collect();
        Param::from_data(TensorData::new(values, shape), device)
    }
}

/// A cubic 3D convolution with bias, initialised as PyTorch does by default.
///
/// `channels` is `[in, out]`. Weight `[out, in, kernel, kernel, kernel]` and bias `[out]` are drawn
/// from `U(-b, b)`, `b = 1 / sqrt(in * kernel^3)`, the weight first. The padding is
/// `(kernel - 1) / 2`: with an odd kernel a size `n` becomes `ceil(n / stride)`.
pub fn conv3d(
    channels: [usize; 2],
    kernel: usize,
    stride: usize,
    rng: &mut WeightRng,
    device: &Device,
) -> Conv3d {
    let [input, output] = channels;
    let bound = init_bound(input, kernel);
    let padding = same_padding(kernel);
    Conv3d {
        weight: rng.uniform([output, input, kernel, kernel, kernel], bound, device),
        bias: Some(rng.uniform([output], bound, device)),
        stride: [stride; 3],
        kernel_size: [kernel; 3],
        dilation: [1; 3],
        groups: 1,
        padding: PaddingConfig3d::Explicit(padding, padding, padding),
    }
}

/// A transposed convolution with kernel 3 and bias that multiplies every size by `stride`.
///
/// `channels` is `[in, out]`. Padding 1, output padding `stride - 1`. Weight
/// `[in, out, 3, 3, 3]` and bias `[out]` are drawn from `U(-b, b)`, `b = 1 / sqrt(out * 27)`:
/// PyTorch takes the fan-in of a transposed convolution from its weight's second axis.
pub fn conv_transpose3d(
    channels: [usize; 2],
    stride: usize,
    rng: &mut WeightRng,
    device: &Device,
) -> ConvTranspose3d {
    const KERNEL: usize = 3;
    let [input, output] = channels;
    let bound = init_bound(output, KERNEL);
    ConvTranspose3d {
        weight: rng.uniform([input, output, KERNEL, KERNEL, KERNEL], bound, device),
        bias: Some(rng.uniform([output], bound, device)),
        stride: [stride; 3],
        kernel_size: [KERNEL; 3],
        dilation: [1; 3],
        groups: 1,
        padding: [same_padding(KERNEL); 3],
        padding_out: [stride.saturating_sub(1); 3],
        channels,
    }
}

fn same_padding(kernel: usize) -> usize {
    kernel.saturating_sub(1) / 2
}

fn init_bound(fan_channels: usize, kernel: usize) -> f32 {
    let fan_in = fan_channels * kernel.pow(3);
    (1.0 / (fan_in as f64).sqrt()) as f32
}
