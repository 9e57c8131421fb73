//! Layers against plain formulas on the host.

use burn::tensor::{Tensor, TensorData};
use voxshield_models::{
    Activation, ConvSpec, ConvTransposeSpec, LinearSpec, WeightRng, gelu, instance_norm,
};
use voxshield_testkit::{assert_close, central_difference, device};

const SHAPE: [usize; 5] = [2, 3, 3, 4, 5];
const GELU: [f32; 7] = [
    -0.004049694,
    -0.1586552,
    -0.1542688,
    0.0,
    0.3457312,
    0.8413447,
    1.9545,
];
const GELU_GRADIENT: [f32; 7] = [
    -0.01194565,
    -0.08331547,
    0.1325049,
    0.5,
    0.8674951,
    1.083316,
    1.085232,
];

fn numbers(seed: u64, shape: [usize; 5]) -> Vec<f32> {
    let parameter = WeightRng::new(seed).uniform(shape, 2.0, &device());
    values(parameter.val())
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_into_vec().expect("float32")
}

fn tensor(values: &[f32], shape: [usize; 5]) -> Tensor<5> {
    Tensor::from_data(TensorData::new(values.to_vec(), shape), &device())
}

/// The formula in f64, one sample and channel after the other.
fn instance_norm_reference(x: &[f32], voxels: usize) -> Vec<f32> {
    let normalise = |map: &[f32]| -> Vec<f32> {
        let count = map.len() as f64;
        let mean = map.iter().map(|&v| f64::from(v)).sum::<f64>() / count;
        let squares = map.iter().map(|&v| (f64::from(v) - mean).powi(2));
        let deviation = (squares.sum::<f64>() / count + 1e-5).sqrt();
        map.iter()
            .map(|&v| ((f64::from(v) - mean) / deviation) as f32)
            .collect()
    };
    x.chunks(voxels).flat_map(normalise).collect()
}

#[test]
fn instance_norm_is_its_formula() {
    let x = numbers(1, SHAPE);
    let actual = values(instance_norm(tensor(&x, SHAPE)));
    assert_close(
        "instance_norm",
        &actual,
        &instance_norm_reference(&x, 60),
        2e-6,
    );
}

#[test]
fn instance_norm_keeps_its_precision_on_a_large_map_far_from_zero() {
    let shape = [1, 2, 48, 48, 48];
    let x: Vec<f32> = numbers(2, shape).iter().map(|v| 20.0 + 0.1 * v).collect();
    let actual = values(instance_norm(tensor(&x, shape)));
    let expected = instance_norm_reference(&x, 48 * 48 * 48);
    assert_close("instance_norm", &actual, &expected, 1e-4);
}

#[test]
fn instance_norm_has_the_gradient_of_its_formula() {
    let shape = [1, 2, 1, 2, 3];
    let (x, cotangent) = (numbers(3, shape), numbers(4, shape));
    let leaf = Tensor::<5>::from_data(TensorData::new(x.clone(), shape), &device().autodiff())
        .require_grad();
    let weights = tensor(&cotangent, shape).autodiff();
    let gradients = (instance_norm(leaf.clone()) * weights).sum().backward();
    let actual = values(leaf.grad(&gradients).expect("a gradient"));
    let objective = |x: &[f32]| -> f64 {
        let y = instance_norm_reference(x, 6);
        y.iter()
            .zip(&cotangent)
            .map(|(&y, &c)| f64::from(y) * f64::from(c))
            .sum()
    };
    let expected = central_difference(objective, &x, 1e-2);
    let expected: Vec<f32> = expected.iter().map(|&g| g as f32).collect();
    assert_close("gradient", &actual, &expected, 2e-3);
}

#[test]
fn activations_are_their_formulas() {
    let x = numbers(5, SHAPE);
    for (activation, slope) in [
        (Activation::Relu, 0.0),
        (Activation::LeakyRelu(0.01), 0.01),
        (Activation::LeakyRelu(0.3), 0.3),
        (Activation::Prelu, 0.25),
    ] {
        let layer = activation.init(&device());
        let actual = values(layer.forward(tensor(&x, SHAPE)));
        let expected: Vec<f32> = x.iter().map(|&v| v.max(0.0) + slope * v.min(0.0)).collect();
        assert_close(&format!("{activation:?}"), &actual, &expected, 1e-7);
    }
}

#[test]
fn a_strided_convolution_halves_odd_sizes_upwards() {
    let mut rng = WeightRng::new(0);
    let conv = ConvSpec::new([3, 2], 3)
        .with_stride([2; 3])
        .init(&mut rng, &device());
    let y = conv.forward(tensor(&numbers(6, SHAPE), SHAPE));
    assert_eq!(y.dims(), [2, 2, 2, 2, 3]);
    let pointwise = ConvSpec::new([3, 2], 1).init(&mut rng, &device());
    let y = pointwise.forward(tensor(&numbers(6, SHAPE), SHAPE));
    assert_eq!(y.dims(), [2, 2, 3, 4, 5]);
}

#[test]
fn the_transposed_convolution_multiplies_every_size() {
    for stride in 1..4 {
        let spec = ConvTransposeSpec::overlapping([3, 2], [stride; 3]);
        let conv = spec.init(&mut WeightRng::new(0), &device());
        let y = conv.forward(tensor(&numbers(7, SHAPE), SHAPE));
        assert_eq!(y.dims(), [2, 2, 3 * stride, 4 * stride, 5 * stride]);
    }
}

#[test]
fn a_tiling_convolution_sees_each_voxel_once() {
    let conv = ConvSpec::tiling([1, 1], [2, 4, 3]).init(&mut WeightRng::new(0), &device());
    let weight = values(conv.weight.val());
    let bias = values(conv.bias.as_ref().expect("a bias").val())[0];
    let shape = [1, 1, 4, 4, 6];
    let x = numbers(8, shape);
    let y = conv.forward(tensor(&x, shape));
    assert_eq!(y.dims(), [1, 1, 2, 1, 2]);
    let at = |z: usize, h: usize, w: usize| x[(z * 4 + h) * 6 + w];
    let mut expected = Vec::new();
    for (i, k) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
        let taps = (0..24).map(|t| weight[t] * at(2 * i + t / 12, t / 3 % 4, 3 * k + t % 3));
        expected.push(bias + taps.sum::<f32>());
    }
    assert_close("tiling", &values(y), &expected, 1e-5);
}

#[test]
fn a_linear_layer_multiplies_with_its_weight_as_pytorch_stores_it() {
    let linear = LinearSpec::new([5, 2]).init(&mut WeightRng::new(1), &device());
    assert_eq!(linear.weight.val().dims(), [2, 5]);
    let (weight, bias) = (values(linear.weight.val()), linear.bias.as_ref());
    let bias = values(bias.expect("a bias").val());
    let x = numbers(9, SHAPE);
    let y = linear.forward(tensor(&x, SHAPE));
    assert_eq!(y.dims(), [2, 3, 3, 4, 2]);
    let row = |x: &[f32], out: usize| -> f32 {
        let products = x.iter().zip(&weight[5 * out..]).map(|(a, b)| a * b);
        products.sum::<f32>() + bias[out]
    };
    let expected: Vec<f32> = x.chunks(5).flat_map(|x| [row(x, 0), row(x, 1)]).collect();
    assert_close("linear", &values(y), &expected, 1e-5);
}

/// Values and derivatives of `x (1 + erf(x / sqrt(2))) / 2` from PyTorch in float64. The tanh
/// approximation is off by up to 5e-4.
#[test]
fn gelu_is_exact_and_so_is_its_gradient() {
    let x = [-3.0f32, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0];
    let leaf = Tensor::<1>::from_floats(x, &device().autodiff()).require_grad();
    let y = gelu(leaf.clone());
    let value = values(y.clone().inner());
    let gradient = values(leaf.grad(&y.sum().backward()).expect("a gradient"));
    assert_close("gelu", &value, &GELU, 1e-6);
    assert_close("gradient", &gradient, &GELU_GRADIENT, 1e-6);
}
