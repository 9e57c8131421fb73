//! Optimises a perturbation against a network of one's own: a Burn module with what it predicts ([`Segmenter`]) and the names of its
//! parameters ([`NamedParameters`]).
//!
//! `cargo run --release --features flex --example own_network`
#![allow(clippy::print_stdout, reason = "an example shows its result")]
// `derive(Module)` writes paths that begin with `burn`: this line instead of a dependency, so that there is one version of it.
use voxshield::burn;

use voxshield::{
    burn::{module::Module, tensor::Tensor},
    data::{PhantomConfig, phantom},
    models::{
        Conv3d, ConvSpec, NamedParameters, Network, Segmenter, WeightRng, elu, instance_norm,
    },
    perturb::{Bilevel, BilevelConfig, InMemory, SurrogateConfig, TrainingVolume},
    pipeline::DeviceChoice,
};

const CLASSES: usize = 3;

/// Two convolutions, the first of which sees every second voxel along each axis.
#[derive(Module, Debug)]
struct OwnNetwork {
    features: Conv3d,
    head: Conv3d,
}

/// The defaults: parameters are called as the fields are, `features.weight` and so on.
impl NamedParameters for OwnNetwork {}

impl Segmenter for OwnNetwork {
    fn forward(&self, x: Tensor<5>) -> Tensor<5> {
        let features = elu(instance_norm(self.features.forward(x)));
        self.head.forward(features)
    }

    fn in_channels(&self) -> usize {
        1
    }

    fn classes(&self) -> usize {
        CLASSES
    }

    fn size_multiple(&self) -> [usize; 3] {
        [1; 3]
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let device = DeviceChoice::Cpu.open()?;
    let shape = [16, 24, 24];
    let volumes = (0..2).map(|case| {
        let phantom = phantom(&PhantomConfig::new(shape, 3), case);
        let inside = |&label: &u8| f32::from(u8::from(label > 0));
        TrainingVolume {
            image: phantom.image.iter().map(|v| v / 2000.0).collect(),
            labels: phantom.label.iter().map(|&l| i32::from(l)).collect(),
            support: phantom.label.iter().map(inside).collect(),
            channels: 1,
            shape,
        }
    });
    let config = BilevelConfig {
        common: SurrogateConfig {
            rounds: 4,
            batch: 2,
            patch: [16; 3],
            ..SurrogateConfig::compact()
        },
        ..BilevelConfig::compact()
    };

    // On the device that records gradients, with weights that are a function of the seed.
    let tracked = config.common.training_device(&device);
    let rng = &mut WeightRng::new(config.common.seed);
    let network = OwnNetwork {
        features: ConvSpec::new([1, 8], 3)
            .with_dilation(2)
            .init(rng, &tracked),
        head: ConvSpec::new([8, CLASSES], 3).init(rng, &tracked),
    };
    let network: Box<dyn Network> = Box::new(network);
    let before = network.weights()?;

    let bilevel = Bilevel::for_surrogate(config, network)?;
    let trained = bilevel.run(&mut InMemory::new(volumes.collect())?, &mut |_| {})?;
    for round in &trained.history {
        println!(
            "round {}: the network's loss {:.4}, the noise's {:.4}",
            round.round, round.surrogate_loss, round.noise_loss
        );
    }
    if trained.surrogate.weights()? == before {
        return Err("the network was not trained".into());
    }
    Ok(())
}
