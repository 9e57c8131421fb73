use voxshield_models::VNetConfig;
use voxshield_testkit::device;

use crate::harness::{Case, Tolerance, agrees_in_size};

#[test]
fn with_running_statistics_and_with_those_of_the_batch() {
    let config = VNetConfig {
        in_channels: 2,
        out_channels: 3,
        width: 4,
        dropout: 0.0,
    };
    let network = config.init(0, &device().autodiff()).expect("valid");
    let case = Case::new("n_v_net", Box::new(network));
    let output = case.network.valid().forward(case.input.clone().inner());
    case.compare("output_eval", output, 3e-5);
    case.agrees(&Tolerance {
        output: 5e-5,
        grad_input: 2e-5,
        gradients: 4e-4,
    });
}

#[test]
fn the_published_size() {
    let network = VNetConfig::standard(1, 3).init(0, &device());
    agrees_in_size("v_net", &network.expect("valid"));
}
