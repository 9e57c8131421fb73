//! The networks as they are asked for by name.

use burn::tensor::{Distribution, Int, Tensor};
use voxshield_kernels::DiceCe;
use voxshield_models::{ARCHITECTURES, Architecture, NetworkSpec, Width};
use voxshield_testkit::device;

/// The narrow network gives every voxel a score for every class.
fn runs(name: &str, patch: [usize; 3]) {
    let spec = NetworkSpec {
        patch,
        ..NetworkSpec::new(2, 3)
    };
    let architecture = Architecture::find(name).expect("a known name");
    let network = architecture.init(&spec, 0, &device()).expect("it fits");
    let [d, h, w] = patch;
    let shape = [2, 2, d, h, w];
    network.check_input(&shape).expect("an accepted shape");
    let x = Tensor::random(shape, Distribution::Uniform(0.0, 1.0), &device());
    assert_eq!(network.forward(x).dims(), [2, 3, d, h, w]);
}

#[test]
fn unetr_runs() {
    runs("unetr", [16, 32, 16]);
}

#[test]
fn swin_unetr_runs() {
    runs("swin-unetr", [32, 64, 32]);
}

/// A run whose surrogate draws cannot go on from its weights, so what a network says of itself has to be true.
#[test]
fn networks_say_whether_they_draw_in_training() {
    for architecture in ARCHITECTURES {
        let [d, h, w] = match architecture.name {
            "swin-unetr" => [32, 32, 64],
            _ => [16, 16, 32],
        };
        let x = Tensor::<5>::random([1, 1, d, h, w], Distribution::Uniform(0.0, 1.0), &device());
        let labels = Tensor::<4, Int>::ones([1, d, h, w], &device());
        for width in [Width::Narrow, Width::Full] {
            let spec = NetworkSpec {
                patch: [d, h, w],
                width,
                ..NetworkSpec::new(1, 2)
            };
            let network = architecture.init(&spec, 0, &device().autodiff());
            let network = network.expect("it fits");
            let [first, second] = [(); 2].map(|()| {
                let loss = network.training_loss(x.clone(), labels.clone(), &DiceCe::default());
                loss.expect("labels that fit").into_scalar::<f32>()
            });
            let name = architecture.name;
            let drawn = first != second;
            assert_eq!(drawn, network.draws_in_training(), "{name}, {width:?}");
        }
    }
}
