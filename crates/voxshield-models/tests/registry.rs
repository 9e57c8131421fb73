//! The networks as they are asked for by name.

use burn::tensor::{Distribution, Tensor};
use voxshield_models::{Architecture, NetworkSpec};
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
