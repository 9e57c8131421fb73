//! Outputs and gradients against MONAI 1.6.1 (`tests/golden/README.md`).

use burn::module::Module;
use burn::tensor::activation::log_softmax;
use burn::tensor::{Int, Tensor, TensorData};
use voxshield_models::{
    Activation, NamedParameters, NoiseGeneratorConfig, ResidualUnetConfig, Segmenter, TensorMap,
    gradients, load_parameters,
};
use voxshield_testkit::{Golden, assert_close, device, max_abs, max_difference};

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

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_into_vec().expect("float32")
}

fn with_stored_weights<M: NamedParameters>(module: M, golden: &Golden) -> M {
    let stored = golden.keys();
    let stored = stored.iter().filter_map(|key| key.strip_prefix("w."));
    let tensor = |name: &str| {
        let key = format!("w.{name}");
        TensorData::new(golden.values(&key), golden.shape(&key))
    };
    let tensors: TensorMap = stored
        .map(|name| (name.to_string(), tensor(name)))
        .collect();
    load_parameters(module, &tensors).expect("the weights of this network")
}

/// `1e-4 * max|tensor| + 1e-6 * max|all tensors|`: the second term covers the biases in front of a
/// normalisation, whose gradient is zero but for rounding.
fn assert_gradients(what: &str, found: &TensorMap, golden: &Golden) {
    let expected: Vec<(&String, Vec<f32>)> = found
        .keys()
        .map(|name| (name, golden.values(&format!("g.{name}"))))
        .collect();
    let stored = golden
        .keys()
        .iter()
        .filter(|key| key.starts_with("g."))
        .count();
    assert_eq!(
        expected.len(),
        stored,
        "{what}: not every parameter has a gradient"
    );
    let largest = expected.iter().map(|(_, g)| max_abs(g)).fold(0.0, f64::max);
    for (name, expected) in expected {
        let actual = found[name].try_to_vec::<f32>().expect("float32");
        let tolerance = 1e-4 * max_abs(&expected) + 1e-6 * largest;
        assert_close(&format!("{what}: g.{name}"), &actual, &expected, tolerance);
    }
}

/// MONAI's DiceCELoss as the reference uses it: softmax, background excluded, batch = False.
fn dice_ce(logits: Tensor<5>, labels: Tensor<4, Int>) -> Tensor<1> {
    let classes = logits.dims()[1];
    let one_hot: Tensor<5> = labels
        .one_hot::<5>(classes)
        .float()
        .permute([0, 4, 1, 2, 3]);
    let log_p = log_softmax(logits, 1);
    let ce = (log_p.clone() * one_hot.clone()).sum_dim(1).mean().neg();
    let sum = |x: Tensor<5>| -> Tensor<2> { x.flatten::<3>(2, 4).sum_dim(2).squeeze_dim(2) };
    let p = log_p.exp();
    let both = sum(p.clone() * one_hot.clone());
    let dice = (both * 2.0 + 1e-5) / (sum(p) + sum(one_hot) + 1e-5);
    let foreground = dice.narrow(1, 1, classes - 1);
    ce + foreground.mean().neg() + 1.0
}

#[test]
fn the_loss_of_these_tests_is_monais() {
    let golden = Golden::open("c_dicece");
    for case in ["c3_plain", "c3_class2_absent", "c5_plain"] {
        let logits = golden.tensor::<5>(&format!("{case}.logits"), &device());
        let labels = golden.int_tensor::<4>(&format!("{case}.label"), &device());
        let expected = golden.values(&format!("{case}.value"));
        let tolerance = 2e-6 * max_abs(&expected);
        assert_close(case, &values(dice_ce(logits, labels)), &expected, tolerance);
    }
}

fn surrogate_agrees(name: &str, channels: usize) {
    let golden = Golden::open(name);
    let device = device().autodiff();
    let network = config(channels, 3, 2).init(0, &device).expect("valid");
    let network = with_stored_weights(network, &golden);
    let input = golden.tensor::<5>("input", &device).require_grad();
    let logits = network.forward(input.clone());
    let output = values(logits.clone().inner());
    assert_close(
        &format!("{name}: output"),
        &output,
        &golden.values("output"),
        3e-5,
    );

    let loss = dice_ce(logits, golden.int_tensor::<4>("label", &device));
    assert_close(
        &format!("{name}: loss"),
        &values(loss.clone().inner()),
        &golden.values("loss"),
        1e-5,
    );
    let gradient = loss.backward();
    let actual = values(input.grad(&gradient).expect("a gradient"));
    let expected = golden.values("grad_input");
    assert_close(
        &format!("{name}: grad_input"),
        &actual,
        &expected,
        1e-4 * max_abs(&expected),
    );
    assert_gradients(
        name,
        &gradients(&network, &gradient).expect("readable"),
        &golden,
    );
}

fn noise_generator_agrees(name: &str, channels: usize) {
    let golden = Golden::open(name);
    let device = device().autodiff();
    let config = NoiseGeneratorConfig {
        unet: config(channels, channels, 1),
        epsilon: 4.0 / 255.0,
    };
    let generator = with_stored_weights(config.init(0, &device).expect("valid"), &golden);
    let input = golden.tensor::<5>("input", &device).require_grad();
    let delta = generator.forward(input.clone());
    let output = values(delta.clone().inner());
    assert_close(
        &format!("{name}: output"),
        &output,
        &golden.values("output"),
        5e-7,
    );
    assert!(max_abs(&output) <= 4.0 / 255.0 + 1e-9, "beyond the bound");

    let scalar = (delta * golden.tensor::<5>("cotangent", &device)).sum();
    let gradient = scalar.backward();
    let actual = values(input.grad(&gradient).expect("a gradient"));
    let expected = golden.values("grad_input");
    assert_close(
        &format!("{name}: grad_input"),
        &actual,
        &expected,
        1e-4 * max_abs(&expected),
    );
    assert_gradients(
        name,
        &gradients(&generator, &gradient).expect("readable"),
        &golden,
    );
}

#[test]
fn surrogate_with_one_channel() {
    surrogate_agrees("d_unet_surrogate_c1", 1);
}

#[test]
fn surrogate_with_four_channels() {
    surrogate_agrees("d_unet_surrogate_c4", 4);
}

#[test]
fn noise_generator_with_one_channel() {
    noise_generator_agrees("d_noise_unet_c1", 1);
}

#[test]
fn noise_generator_with_four_channels() {
    noise_generator_agrees("d_noise_unet_c4", 4);
}

#[test]
fn a_network_without_autodiff_gives_the_same_output() {
    let golden = Golden::open("d_unet_surrogate_c1");
    let network = config(1, 3, 2)
        .init(0, &device().autodiff())
        .expect("valid");
    let network = with_stored_weights(network, &golden).valid();
    let boxed: Box<dyn Segmenter> = Box::new(network);
    let output = boxed.forward(golden.tensor::<5>("input", &device()));
    assert!(!output.is_autodiff());
    let (difference, _) = max_difference(&values(output), &golden.values("output"));
    assert!(difference <= 3e-5, "{difference}");
}
