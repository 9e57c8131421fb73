use voxshield_models::SegResNetConfig;
use voxshield_testkit::device;

use crate::harness::{Case, Tolerance, agrees_in_size};

#[test]
fn the_default_of_monai() {
    let network = SegResNetConfig::narrow(1, 3).init(0, &device().autodiff());
    let case = Case::new("n_seg_res_net", Box::new(network.expect("valid")));
    case.agrees(&Tolerance {
        output: 2e-5,
        grad_input: 1e-5,
        gradients: 1e-4,
    });
}

#[test]
fn the_published_size() {
    let network = SegResNetConfig::standard(1, 3).init(0, &device());
    agrees_in_size("seg_res_net", &network.expect("valid"));
}
