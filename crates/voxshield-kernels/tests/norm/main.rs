//! Instance normalisation and activation: kernel and composition against the f64 reference.

use burn::tensor::{Device, Tensor, TensorData};
use voxshield_kernels::{KernelError, NormActivation, instance_norm_act, reference};
use voxshield_testkit::{assert_close, central_difference, device, max_abs};

mod layouts;

const EPSILON: f64 = 1e-5;

fn values<const D: usize>(t: Tensor<D>) -> Vec<f32> {
    t.into_data().try_to_vec().expect("f32 tensor")
}

/// Deterministic values in -1..1 without a generator.
fn noise(seed: usize, n: usize) -> Vec<f32> {
    (seed..seed + n)
        .map(|i| ((i * i * 7 + i * 13 + 5) % 1009) as f32 / 504.5 - 1.0)
        .collect()
}

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&v| v.into()).collect()
}

fn narrow(values: &[f64]) -> Vec<f32> {
    values.iter().map(|&v| v as f32).collect()
}

fn tensor<const D: usize>(values: &[f32], shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values.to_vec(), shape), device)
}

/// Odd sizes, several samples, one channel, one voxel, less and more than a block of sums.
const SHAPES: [[usize; 5]; 6] = [
    [2, 3, 5, 7, 3],
    [1, 1, 3, 5, 1],
    [3, 1, 1, 2, 2],
    [1, 2, 1, 1, 1],
    [2, 2, 16, 8, 8],
    [1, 3, 11, 13, 17],
];

const ACTIVATIONS: [(NormActivation, f64); 4] = [
    (NormActivation::Identity, 1.0),
    (NormActivation::Relu, 0.0),
    (NormActivation::LeakyRelu { slope: 0.01 }, 0.01),
    (NormActivation::LeakyRelu { slope: -0.5 }, -0.5),
];

#[test]
fn value_and_gradients_equal_the_reference() {
    let device = device().autodiff();
    for shape in SHAPES {
        let [batch, channels, ..] = shape;
        let n: usize = shape.iter().product();
        let voxels = n / (batch * channels);
        let (x, cotangent) = (noise(1, n), noise(400, n));
        let (weight, bias) = (noise(77, channels), noise(5, channels));
        for (activation, slope) in ACTIVATIONS {
            let what = |part: &str| format!("{shape:?} {activation:?} {part}");
            let [w, b] = [wide(&weight), wide(&bias)];
            let expected =
                reference::instance_norm_act(&wide(&x), [&w, &b], voxels, EPSILON, slope);
            let leaf = tensor(&x, shape, &device).require_grad();
            let [weight, bias] =
                [&weight, &bias].map(|v| tensor(v, [channels], &device).require_grad());
            let affine = Some([weight.clone(), bias.clone()]);
            let y = instance_norm_act(leaf.clone(), affine, EPSILON, activation).unwrap();
            assert_close(&what("value"), &values(y.clone()), &narrow(&expected), 4e-6);

            let gradients = (y * tensor(&cotangent, shape, &device)).sum().backward();
            let [x_gradient, w_gradient, b_gradient] = reference::instance_norm_act_gradient(
                &wide(&x),
                [&w, &b],
                &wide(&cotangent),
                voxels,
                EPSILON,
                slope,
            );
            let close = |part: &str, got: Vec<f32>, expected: Vec<f64>| {
                let expected = narrow(&expected);
                // The gradients of small maps are differences of larger terms.
                let scale = max_abs(&expected).max(1.0);
                assert_close(&what(part), &got, &expected, 1e-5 * scale);
            };
            close("x", values(leaf.grad(&gradients).unwrap()), x_gradient);
            close("w", values(weight.grad(&gradients).unwrap()), w_gradient);
            close("b", values(bias.grad(&gradients).unwrap()), b_gradient);
        }
    }
}

#[test]
fn the_reference_gradient_equals_central_differences() {
    let (shape, voxels) = ([2, 2], 7);
    let n = shape[0] * shape[1] * voxels;
    let (x, cotangent) = (noise(9, n), wide(&noise(31, n)));
    let (weight, bias) = ([0.7f32, -1.2], [0.3f32, 0.05]);
    let slope = 0.2;
    let objective = |x: &[f32], weight: &[f32], bias: &[f32]| -> f64 {
        let affine = [&wide(weight)[..], &wide(bias)[..]];
        reference::instance_norm_act(&wide(x), affine, voxels, EPSILON, slope)
            .iter()
            .zip(&cotangent)
            .map(|(y, c)| y * c)
            .sum()
    };
    let affine = [&wide(&weight)[..], &wide(&bias)[..]];
    let got = reference::instance_norm_act_gradient(
        &wide(&x),
        affine,
        &cotangent,
        voxels,
        EPSILON,
        slope,
    );
    let h = 1e-3;
    let expected = [
        central_difference(|x| objective(x, &weight, &bias), &x, h),
        central_difference(|weight| objective(&x, weight, &bias), &weight, h),
        central_difference(|bias| objective(&x, &weight, bias), &bias, h),
    ];
    for (what, (got, expected)) in ["x", "weight", "bias"]
        .iter()
        .zip(got.iter().zip(&expected))
    {
        let expected = narrow(expected);
        assert_close(what, &narrow(got), &expected, 1e-4 * max_abs(&expected));
    }
}

#[test]
fn a_map_far_from_zero_keeps_its_digits() {
    // f32 resolves 6e-5 at 1000; a sum of squares in f32 would leave nothing of a deviation of 0.6.
    let shape = [1, 2, 40, 40, 40];
    let x: Vec<f32> = noise(2, 128_000).iter().map(|v| 1000.0 + v).collect();
    let affine = [&[1.0][..], &[0.0][..]];
    let expected = reference::instance_norm_act(&wide(&x), affine, 64_000, EPSILON, 1.0);
    let x = tensor(&x, shape, &device());
    let y = instance_norm_act(x, None, EPSILON, NormActivation::Identity).unwrap();
    assert_close("far", &values(y), &narrow(&expected), 1e-4);
}

#[test]
fn a_nan_stays_in_its_map() {
    let mut x = noise(3, 24);
    x[5] = f32::NAN;
    let x = tensor(&x, [1, 2, 3, 2, 2], &device());
    let y = values(instance_norm_act(x, None, EPSILON, NormActivation::Relu).unwrap());
    assert!(y[..12].iter().all(|v| v.is_nan()));
    assert!(y[12..].iter().all(|v| v.is_finite()));
}

#[cfg(feature = "flex")]
mod flex {
    use burn::backend::{Flex, flex::FlexTensor};
    use voxshield_kernels::ops::{NormOps, norm::composition};

    use super::*;

    fn primitive(values: Vec<f32>, shape: &[usize]) -> FlexTensor {
        FlexTensor::from_data(TensorData::new(values, shape.to_vec()))
    }

    /// `y`, the statistics and the three gradients, with `forward` and `backward` of the
    /// composition or of the kernel.
    fn run(shape: [usize; 5], kernel: bool) -> [Vec<f32>; 5] {
        let channels = [shape[1]];
        let n = shape.iter().product();
        let x = primitive(noise(1, n), &shape);
        let weight = primitive(noise(77, channels[0]), &channels);
        let bias = primitive(noise(5, channels[0]), &channels);
        let gradient = primitive(noise(400, n), &shape);
        let (forward, backward): (fn(_, _, _, _, _) -> _, fn(_, _, _, _, _, _) -> _) = if kernel {
            (Flex::instance_norm_act, Flex::instance_norm_act_backward)
        } else {
            (
                composition::instance_norm_act::<Flex>,
                composition::instance_norm_act_backward::<Flex>,
            )
        };
        let (y, statistics) = forward(x.clone(), weight.clone(), bias.clone(), EPSILON, 0.1);
        let (x, weight, bias) = backward(x, weight, bias, statistics.clone(), gradient, 0.1);
        [y, statistics, x, weight, bias].map(|t| t.into_data().try_to_vec().unwrap())
    }

    #[test]
    fn kernel_equals_the_composition() {
        for shape in SHAPES {
            let names = ["y", "statistics", "x", "weight", "bias"];
            let both = run(shape, true).into_iter().zip(run(shape, false));
            for (name, (kernel, composition)) in names.iter().zip(both) {
                let scale = max_abs(&composition).max(1.0);
                let what = format!("{shape:?} {name}");
                assert_close(&what, &kernel, &composition, 1e-5 * scale);
            }
        }
    }

    #[test]
    fn memory_that_nobody_else_holds_is_used_again_with_the_same_result() {
        let shape = [2, 3, 5, 7, 3];
        let [weight, bias] = [77, 5].map(|seed| primitive(noise(seed, 3), &[3]));
        let run = |x: FlexTensor| {
            let (y, _) = Flex::instance_norm_act(x, weight.clone(), bias.clone(), EPSILON, 0.1);
            y.into_data().try_to_vec::<f32>().unwrap()
        };
        let shared = primitive(noise(1, 630), &shape);
        assert_eq!(run(shared.clone()), run(primitive(noise(1, 630), &shape)));
        let kept: Vec<f32> = shared.into_data().try_to_vec().unwrap();
        assert_eq!(kept, noise(1, 630));
    }

    #[test]
    fn every_number_of_threads_gives_the_same_bits() {
        let bits = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
            let pool = pool.build().unwrap();
            let results = pool.install(|| run([2, 5, 13, 17, 11], true));
            results.map(|v| v.into_iter().map(f32::to_bits).collect::<Vec<_>>())
        };
        let one = bits(1);
        assert_eq!(one, bits(2));
        assert_eq!(one, bits(4));
    }

    #[test]
    fn a_gradient_that_somebody_else_holds_is_left_alone() {
        let shape = [1, 1, 2, 2, 2];
        let [one, zero] = [1.0, 0.0].map(|v| primitive(vec![v], &[1]));
        let x = primitive(noise(1, 8), &shape);
        let gradient = primitive(noise(2, 8), &shape);
        let (_, statistics) =
            Flex::instance_norm_act(x.clone(), one.clone(), zero.clone(), EPSILON, 1.0);
        Flex::instance_norm_act_backward(x, one, zero, statistics, gradient.clone(), 1.0);
        let kept: Vec<f32> = gradient.into_data().try_to_vec().unwrap();
        assert_eq!(kept, noise(2, 8));
    }
}

#[test]
fn bad_arguments_are_typed_errors() {
    let device = device();
    let x = Tensor::<5>::zeros([1, 3, 2, 2, 2], &device);
    let norm = |x, affine, epsilon, activation| {
        instance_norm_act(x, affine, epsilon, activation).unwrap_err()
    };
    let short = Some([
        Tensor::<1>::zeros([3], &device),
        Tensor::<1>::zeros([2], &device),
    ]);
    assert!(matches!(
        norm(x.clone(), short, EPSILON, NormActivation::Relu),
        KernelError::Shape {
            argument: "bias",
            ..
        }
    ));
    assert!(matches!(
        norm(x.clone(), None, 0.0, NormActivation::Relu),
        KernelError::Parameter {
            parameter: "epsilon",
            ..
        }
    ));
    let slope = NormActivation::LeakyRelu { slope: f64::NAN };
    assert!(matches!(
        norm(x, None, EPSILON, slope),
        KernelError::Parameter {
            parameter: "slope",
            ..
        }
    ));
    let empty = Tensor::<5>::zeros([1, 3, 2, 0, 2], &device);
    assert!(matches!(
        norm(empty, None, EPSILON, NormActivation::Relu),
        KernelError::TooShort { axis: "height", .. }
    ));
}
