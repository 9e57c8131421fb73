//! A loss of `voxshield::kernels` in a training loop of one's own: a Burn network learns to find a bright ball with DiceCE.
//!
//! `cargo run --release --features flex --example kernel_loss`
#![allow(clippy::print_stdout, reason = "an example shows its result")]
// `derive(Module)` writes paths that begin with `burn`.
use voxshield::burn;

use voxshield::{
    burn::{
        module::Module,
        nn::{
            PaddingConfig3d,
            conv::{Conv3d, Conv3dConfig},
        },
        optim::{AdamConfig, GradientsParams},
        tensor::{Device, Int, Tensor, TensorData},
    },
    kernels::DiceCe,
    pipeline::DeviceChoice,
};

const SIZE: usize = 12;

/// Two convolutions of Burn's.
#[derive(Module, Debug)]
struct OwnNetwork {
    features: Conv3d,
    head: Conv3d,
}

impl OwnNetwork {
    fn new(device: &Device) -> Self {
        let features = Conv3dConfig::new([1, 4], [3; 3]).with_padding(PaddingConfig3d::Same);
        Self {
            features: features.init(device),
            head: Conv3dConfig::new([4, 2], [1; 3]).init(device),
        }
    }

    /// Logits `[batch, class, depth, height, width]`.
    fn forward(&self, x: Tensor<5>) -> Tensor<5> {
        self.head.forward(self.features.forward(x).tanh())
    }
}

/// Image `[1, 1, depth, height, width]` and labels `[1, depth, height, width]`.
fn ball(device: &Device) -> (Tensor<5>, Tensor<4, Int>) {
    let square = |at: usize| (at as f32 - SIZE as f32 / 2.0).powi(2);
    let labels: Vec<i32> = (0..SIZE.pow(3))
        .map(|i| square(i / (SIZE * SIZE)) + square(i / SIZE % SIZE) + square(i % SIZE))
        .map(|distance| i32::from(distance < 12.0))
        .collect();
    let texture = |i: usize| (i * 7 % 11) as f32 / 40.0;
    let image: Vec<f32> = (labels.iter().enumerate())
        .map(|(i, &label)| 0.2 + 0.5 * label as f32 + texture(i))
        .collect();
    (
        Tensor::from_data(TensorData::new(image, [1, 1, SIZE, SIZE, SIZE]), device),
        Tensor::from_data(TensorData::new(labels, [1, SIZE, SIZE, SIZE]), device),
    )
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let device = DeviceChoice::Cpu.open()?;
    device.seed(0);
    let (image, labels) = ball(&device);
    // Kernels are differentiable on Burn's autodiff device, as its own operations are.
    let image = image.autodiff();
    let mut network = OwnNetwork::new(&device.autodiff());
    let mut optimiser = AdamConfig::new().init();
    let criterion = DiceCe::default();
    let mut losses = Vec::new();
    for _ in 0..100 {
        let loss = criterion.forward(network.forward(image.clone()), labels.clone())?;
        let gradients = GradientsParams::from_grads(loss.backward(), &network);
        network = optimiser.step(0.03, network, gradients);
        losses.push(loss.into_scalar::<f32>());
    }
    let (first, last) = (losses[0], losses[losses.len() - 1]);
    println!("DiceCE {first:.4} -> {last:.4}");
    if last >= 0.5 * first {
        return Err("the network did not learn".into());
    }
    Ok(())
}
