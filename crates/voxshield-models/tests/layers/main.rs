//! Layers against plain formulas on the host.

mod batch_norm;
mod dropout;
mod resampling;
mod transformer;

use burn::tensor::{Tensor, TensorData};
use voxshield_models::{
    Activation, ConvSpec, ConvTransposeSpec, WeightRng, instance_norm, upsample_aligned,
};
use voxshield_testkit::{assert_close, central_difference, device, max_abs};

const SHAPE: [usize; 5] = [2, 3, 3, 4, 5];

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

/// Checks the gradient of `sum(cotangent * layer(x))` against central differences of `reference`,
/// the same layer on the host.
fn check_gradient(
    layer: impl Fn(Tensor<5>) -> Tensor<5>,
    reference: impl Fn(&[f32]) -> Vec<f32>,
    x: &[f32],
    shape: [usize; 5],
) {
    let leaf = Tensor::<5>::from_data(TensorData::new(x.to_vec(), shape), &device().autodiff());
    let leaf = leaf.require_grad();
    let y = layer(leaf.clone());
    let cotangent = numbers(99, y.dims());
    let weights = tensor(&cotangent, y.dims()).autodiff();
    let gradients = (y * weights).sum().backward();
    let actual = values(leaf.grad(&gradients).expect("a gradient"));
    let objective = |x: &[f32]| -> f64 {
        let terms = reference(x).into_iter().zip(&cotangent);
        terms.map(|(y, &c)| f64::from(y) * f64::from(c)).sum()
    };
    let expected = central_difference(objective, x, 1e-2);
    let expected: Vec<f32> = expected.iter().map(|&g| g as f32).collect();
    assert_close(
        "gradient",
        &actual,
        &expected,
        2e-3 * max_abs(&expected).max(1.0),
    );
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
    let x = numbers(3, shape);
    check_gradient(instance_norm, |x| instance_norm_reference(x, 6), &x, shape);
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

/// Trilinear interpolation with aligned corners by its definition, one voxel after the other.
fn upsample_reference(
    x: &[f32],
    [_, _, depth, height, width]: [usize; 5],
    to: [usize; 3],
) -> Vec<f64> {
    let from = [depth, height, width];
    let position = |axis: usize, o: usize| match to[axis] {
        1 => 0.0,
        m => o as f64 * (from[axis] - 1) as f64 / (m - 1) as f64,
    };
    let share =
        |axis: usize, o: usize, i: usize| (1.0 - (position(axis, o) - i as f64).abs()).max(0.0);
    let mut y = Vec::new();
    for map in x.chunks(depth * height * width) {
        for (d, h, w) in voxels(to) {
            let terms = voxels(from).zip(map).map(|((i, j, k), &v)| {
                share(0, d, i) * share(1, h, j) * share(2, w, k) * f64::from(v)
            });
            y.push(terms.sum());
        }
    }
    y
}

fn voxels([depth, height, width]: [usize; 3]) -> impl Iterator<Item = (usize, usize, usize)> {
    (0..depth).flat_map(move |d| (0..height).flat_map(move |h| (0..width).map(move |w| (d, h, w))))
}

#[test]
fn aligned_upsampling_and_its_gradient_are_their_formulas() {
    let x = numbers(8, SHAPE);
    // Twice and more, odd, down to a single sample, and unchanged.
    for to in [[6, 8, 10], [5, 7, 4], [1, 2, 9], [3, 4, 5]] {
        let [batch, channels, ..] = SHAPE;
        let out = [batch, channels, to[0], to[1], to[2]];
        let leaf = Tensor::<5>::from_data(TensorData::new(x.clone(), SHAPE), &device().autodiff())
            .require_grad();
        let y = upsample_aligned(leaf.clone(), to);
        assert_eq!(y.dims(), out);
        let expected: Vec<f32> = upsample_reference(&x, SHAPE, to)
            .iter()
            .map(|&v| v as f32)
            .collect();
        assert_close("aligned", &values(y.clone().inner()), &expected, 1e-6);

        let cotangent = numbers(9, out);
        let gradients = (y * tensor(&cotangent, out).autodiff()).sum().backward();
        let actual = values(leaf.grad(&gradients).expect("a gradient"));
        let objective = |x: &[f32]| -> f64 {
            let y = upsample_reference(x, SHAPE, to);
            y.iter()
                .zip(&cotangent)
                .map(|(y, &c)| y * f64::from(c))
                .sum()
        };
        let expected = central_difference(objective, &x, 0.5);
        let expected: Vec<f32> = expected.iter().map(|&g| g as f32).collect();
        assert_close("gradient", &actual, &expected, 1e-5);
    }
}
