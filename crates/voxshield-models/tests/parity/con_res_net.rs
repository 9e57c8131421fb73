use burn::module::Module;
use burn::tensor::Tensor;
use voxshield_models::{ConResNet, ConResNetConfig, load_parameters};
use voxshield_testkit::device;

use crate::harness::{Case, Tolerance, agrees_in_size};
use crate::hashed;

/// The logits reach 60, of which float32 keeps 3e-4 (the fixture's `deviation`).
const TOLERANCE: Tolerance = Tolerance {
    output: 3e-3,
    grad_input: 1e-4,
    gradients: 6e-5,
};

fn network() -> ConResNet {
    let config = ConResNetConfig {
        dropout: 0.0,
        ..ConResNetConfig::narrow(2, 3)
    };
    config.init(0, &device().autodiff()).expect("valid")
}

#[test]
fn output_and_training_loss() {
    Case::new("n_con_res_net", Box::new(network())).agrees(&TOLERANCE);
}

#[test]
fn every_head() {
    let case = Case::new("n_con_res_net", Box::new(network()));
    let network = network().valid();
    let network = load_parameters(network.clone(), &hashed::weights(&network)).expect("fits");
    let heads = network.heads(case.input.clone().inner());
    let [full, half, quarter]: [Tensor<5>; 3] = heads.residuals;
    case.compare("output", heads.segmentation, TOLERANCE.output);
    case.compare("output1", full, TOLERANCE.output);
    case.compare("output2", half, TOLERANCE.output);
    case.compare("output3", quarter, TOLERANCE.output);
}

#[test]
fn the_published_sizes() {
    for (key, channels) in [("con_res_net", 1), ("con_res_net_published_patch", 4)] {
        let network = ConResNetConfig::published(channels, 3).init(0, &device());
        agrees_in_size(key, &network.expect("valid"));
    }
}
