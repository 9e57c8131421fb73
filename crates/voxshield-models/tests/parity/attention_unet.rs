use voxshield_kernels::DiceCe;
use voxshield_models::{AttentionUnetConfig, Network, TensorMap};
use voxshield_testkit::{Golden, assert_close, device, max_abs};

use crate::harness::{Case, Tolerance, agrees_in_size};

fn case() -> Case {
    let config = AttentionUnetConfig {
        in_channels: 1,
        out_channels: 3,
        channels: vec![4, 8, 16],
        strides: vec![2, 2],
    };
    let network = config.init(0, &device().autodiff()).expect("valid");
    Case::new("d_attention_unet", Box::new(network))
}

/// Compares the running statistics of `network` with those in `golden` under `prefix`.
fn compare_running(network: &dyn Network, golden: &Golden, prefix: &str) {
    let mut expected = golden.tensors(prefix);
    expected.retain(|name, _| name.contains("running_"));
    let mut found: TensorMap = network.weights().expect("readable");
    found.retain(|name, _| name.contains("running_"));
    assert!(found.keys().eq(expected.keys()), "{:?}", found.keys());
    for (name, expected) in expected {
        let expected: Vec<f32> = expected.try_to_vec().expect("float32");
        let actual: Vec<f32> = found[&name].try_to_vec().expect("float32");
        let bound = 1e-6 * max_abs(&expected).max(1.0);
        assert_close(&name, &actual, &expected, bound);
    }
}

#[test]
fn in_training_with_the_statistics_of_the_batch() {
    let case = case();
    case.agrees(&Tolerance::default());
    let after = Golden::open("n_attention_unet_running");
    compare_running(&*case.network, &after, "");
    compare_running(&*case.network.valid(), &after, "");
}

#[test]
fn frozen_with_running_statistics() {
    let case = case();
    let frozen = case.network.frozen();
    let logits = frozen.forward(case.input.clone());
    case.compare("eval.output", logits.clone(), 3e-5);
    let loss = DiceCe::default().forward(logits, case.labels.clone());
    let gradients = loss.expect("labels that fit").backward();
    assert!(frozen.gradients(&gradients).expect("readable").is_empty());
    let gradient = case.input.grad(&gradients).expect("a gradient");
    let largest = max_abs(&case.golden.values("eval.grad_input"));
    case.compare("eval.grad_input", gradient, 1e-4 * largest);
    compare_running(&*frozen, &case.golden, "w.");

    let output = case.network.valid().forward(case.input.clone().inner());
    case.compare("eval.output", output, 3e-5);
}

#[test]
fn a_frozen_copy_does_not_follow_the_training() {
    let case = case();
    let frozen = case.network.frozen();
    let loss = case.network.forward(case.input.clone()).sum();
    loss.backward();
    compare_running(&*frozen, &case.golden, "w.");
    let after = Golden::open("n_attention_unet_running");
    compare_running(&*case.network, &after, "");
}

#[test]
fn the_published_size() {
    let network = AttentionUnetConfig::standard(1, 3).init(0, &device());
    agrees_in_size("attention_unet", &network.expect("valid"));
}
