use burn::tensor::Tensor;
use voxshield_models::{ConvSpec, LinearSpec, WeightRng, gelu};
use voxshield_testkit::{assert_close, device};

use crate::{SHAPE, numbers, tensor, values};

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
