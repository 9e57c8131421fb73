//! Each network by name: sizes, errors, initial weights.

mod con_res_net;
mod nnunet;
mod topology;

use burn::tensor::{Distribution, Tensor};
use voxshield_models::{Architecture, NetworkSpec};
use voxshield_testkit::device;

/// The narrow network called `name`, on a small patch: as many voxels as it was given, and finite.
fn runs(name: &str, spec: &NetworkSpec) {
    let architecture = Architecture::find(name).expect("in the list");
    let network = architecture.init(spec, 3, &device()).expect("a network");
    let [depth, height, width] = spec.patch;
    let shape = [2, spec.in_channels, depth, height, width];
    network.check_input(&shape).expect("an accepted shape");
    let x = Tensor::random(shape, Distribution::Uniform(0.0, 1.0), &device());
    let y = network.forward(x);
    assert_eq!(y.dims(), [2, spec.classes, depth, height, width], "{name}");
    let y = y.into_data().try_into_vec::<f32>().expect("float32");
    assert!(y.iter().all(|value| value.is_finite()), "{name}");
}
