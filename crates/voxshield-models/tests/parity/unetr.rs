use voxshield_kernels::DiceCe;
use voxshield_models::{Network, Norm, UnetrConfig};
use voxshield_testkit::{assert_close, device, max_abs};

use crate::harness::{Case, Tolerance, agrees_in_size};

const TOLERANCE: Tolerance = Tolerance {
    output: 1e-4,
    grad_input: 1e-4,
    gradients: 5e-4,
};

fn case(name: &'static str, input_size: [usize; 3], norm: Norm) -> Case {
    let config = UnetrConfig {
        in_channels: 1,
        out_channels: 3,
        input_size,
        feature_size: 4,
        hidden_size: 24,
        mlp_dim: 48,
        num_heads: 3,
        norm,
    };
    let network = config.init(0, &device().autodiff()).expect("valid");
    assert_eq!(network.parameter_count() as u64, config.parameter_count());
    Case::new(name, Box::new(network))
}

#[test]
fn one_token() {
    case("d_unetr_16", [16; 3], Norm::Instance).agrees(&TOLERANCE);
}

#[test]
fn six_tokens_and_three_sizes() {
    case("d_unetr_32x16x48", [32, 16, 48], Norm::Instance).agrees(&TOLERANCE);
}

fn batch_norm() -> Case {
    case("d_unetr_16_batchnorm", [16; 3], Norm::Batch)
}

#[test]
fn batch_norm_in_training() {
    let case = batch_norm();
    let logits = case.network.forward(case.input.clone());
    case.compare("output", logits.clone(), TOLERANCE.output);
    let loss = DiceCe::default().forward(logits, case.labels.clone());
    let loss = loss.expect("labels that fit");
    assert_close(
        "loss",
        &[loss.clone().into_scalar::<f32>()],
        &case.golden.values("loss"),
        1e-5,
    );
    let gradient = case.input.grad(&loss.backward()).expect("a gradient");
    let largest = max_abs(&case.golden.values("grad_input"));
    case.compare("grad_input", gradient, TOLERANCE.grad_input * largest);
}

#[test]
fn batch_norm_in_inference() {
    let case = batch_norm();
    let frozen = case.network.frozen();
    let logits = frozen.forward(case.input.clone());
    case.compare("eval.output", logits.clone(), TOLERANCE.output);
    let loss = DiceCe::default().forward(logits, case.labels.clone());
    let gradients = loss.expect("labels that fit").backward();
    assert!(frozen.gradients(&gradients).expect("readable").is_empty());
    let gradient = case.input.grad(&gradients).expect("a gradient");
    let largest = max_abs(&case.golden.values("eval.grad_input"));
    case.compare("eval.grad_input", gradient, TOLERANCE.grad_input * largest);
    let output = case.network.valid().forward(case.input.clone().inner());
    case.compare("eval.output", output, TOLERANCE.output);
}

#[test]
fn the_published_size() {
    let config = UnetrConfig::standard(1, 3, [96; 3]);
    agrees_in_size("unetr", &config.init(0, &device()).expect("valid"));
}
