use burn::tensor::Tensor;
use voxshield_models::{
    Activation, Network, NoiseGeneratorConfig, ResidualUnetConfig, gradients, load_parameters,
};
use voxshield_testkit::{Golden, assert_close, device, max_abs};

use crate::harness::{Case, Tolerance, values};

fn config(in_channels: usize, out_channels: usize, res_units: usize) -> ResidualUnetConfig {
    ResidualUnetConfig {
        in_channels,
        out_channels,
        channels: vec![4, 8, 16],
        strides: vec![2, 2],
        res_units,
        activation: match res_units {
            1 => Activation::LeakyRelu(0.01),
            _ => Activation::Relu,
        },
    }
}

fn surrogate(channels: usize) -> Box<dyn Network> {
    let network = config(channels, 3, 2).init(0, &device().autodiff());
    Box::new(network.expect("valid"))
}

#[test]
fn surrogate_with_one_channel() {
    Case::new("d_unet_surrogate_c1", surrogate(1)).agrees(&Tolerance::default());
}

#[test]
fn surrogate_with_four_channels() {
    Case::new("d_unet_surrogate_c4", surrogate(4)).agrees(&Tolerance::default());
}

#[test]
fn without_autodiff_and_frozen_the_output_is_the_same() {
    let case = Case::new("d_unet_surrogate_c1", surrogate(1));
    let output = case.network.valid().forward(case.input.clone().inner());
    assert!(!output.is_autodiff());
    case.compare("output", output, 3e-5);

    let frozen = case.network.frozen();
    let output = frozen.forward(case.input.clone());
    let gradient = output.clone().sum().backward();
    assert!(frozen.gradients(&gradient).expect("readable").is_empty());
    assert!(case.input.grad(&gradient).is_some());
    case.compare("output", output, 3e-5);
}

#[test]
fn noise_generator_with_one_channel() {
    noise_generator_agrees("d_noise_unet_c1", 1);
}

#[test]
fn noise_generator_with_four_channels() {
    noise_generator_agrees("d_noise_unet_c4", 4);
}

fn noise_generator_agrees(name: &str, channels: usize) {
    let golden = Golden::open(name);
    let device = device().autodiff();
    let config = NoiseGeneratorConfig {
        unet: config(channels, channels, 1),
        epsilon: 4.0 / 255.0,
        band_limit: None,
    };
    let generator = config.init(0, &device).expect("valid");
    let weights = golden.tensors("w.");
    let generator = load_parameters(generator, &weights).expect("its weights");
    let input: Tensor<5> = golden.tensor("input", &device).require_grad();
    let delta = generator.forward(input.clone());
    let output = values(delta.clone().inner());
    let check = |key: &str, actual: &[f32], tolerance: f64| {
        assert_close(
            &format!("{name}: {key}"),
            actual,
            &golden.values(key),
            tolerance,
        );
    };
    check("output", &output, 5e-7);
    assert!(max_abs(&output) <= 4.0 / 255.0 + 1e-9, "beyond the bound");

    let scalar = (delta * golden.tensor::<5>("cotangent", &device)).sum();
    let gradient = scalar.backward();
    let grad_input = values(input.grad(&gradient).expect("a gradient"));
    check(
        "grad_input",
        &grad_input,
        1e-4 * max_abs(&golden.values("grad_input")),
    );
    let found = gradients(&generator, &gradient).expect("readable");
    assert_eq!(found.len(), weights.len(), "every parameter has a gradient");
    let largest = found
        .keys()
        .map(|key| max_abs(&golden.values(&format!("g.{key}"))));
    let largest = largest.fold(0.0, f64::max);
    for (key, data) in found {
        let actual = data.try_to_vec::<f32>().expect("float32");
        let key = format!("g.{key}");
        check(
            &key,
            &actual,
            1e-4 * max_abs(&golden.values(&key)) + 1e-6 * largest,
        );
    }
}
