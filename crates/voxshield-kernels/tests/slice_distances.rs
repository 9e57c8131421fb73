//! ISC: every backend body against the f64 reference, PyTorch's numbers and finite differences.

use burn::tensor::{Tensor, TensorData};
use voxshield_kernels::{
    IscScaling, KernelError, inter_slice_divergence, ops::composition, reference, slice_distances,
};
use voxshield_testkit::{Golden, assert_close, central_difference, device};

fn values<const D: usize>(t: Tensor<D>) -> Vec<f32> {
    t.into_data().try_to_vec().expect("f32 tensor")
}

/// Deterministic values in -1..1 without a generator: the fractional parts of a quadratic sequence.
fn noise(n: usize) -> Vec<f32> {
    (0..n)
        .map(|i| ((i * i * 7 + i * 13 + 5) % 1009) as f32 / 504.5 - 1.0)
        .collect()
}

fn tensor(values: Vec<f32>, shape: [usize; 5]) -> Tensor<5> {
    Tensor::from_data(TensorData::new(values, shape), &device().autodiff())
}

const SHAPES: [[usize; 5]; 6] = [
    [2, 3, 5, 12, 10],
    [1, 1, 2, 7, 9],
    [1, 1, 3, 1, 8],
    [1, 2, 4, 8, 1],
    [1, 1, 37, 5, 6],
    [2, 1, 3, 11, 13],
];

#[test]
fn distances_equal_the_reference() {
    for shape in SHAPES {
        let [b, c, d, h, w] = shape;
        let x = noise(b * c * d * h * w);
        let expected: Vec<f32> = reference::slice_distances(
            &x.iter().map(|&v| f64::from(v)).collect::<Vec<_>>(),
            [b * c, d, h, w],
        )
        .iter()
        .map(|&v| v as f32)
        .collect();
        let got = values(slice_distances(tensor(x, shape).detach()).unwrap());
        let scale = f64::from(expected.iter().copied().fold(0.0, f32::max));
        assert_close(&format!("{shape:?}"), &got, &expected, 2e-6 * scale);
    }
}

#[cfg(feature = "flex")]
#[test]
fn flex_kernel_equals_the_composition_in_value_and_gradient() {
    use burn::backend::{Backend, Flex, flex::FlexDevice};
    use voxshield_kernels::ops::SpectralOps;
    let make = |v: Vec<f32>, s: Vec<usize>| {
        <Flex as burn::backend::ops::FloatTensorOps<Flex>>::float_from_data(
            TensorData::new(v, s),
            &FlexDevice,
        )
    };
    fn host<B: Backend>(t: burn::backend::tensor::FloatTensor<B>) -> Vec<f32> {
        burn::tensor::read_sync(B::float_into_data(t))
            .unwrap()
            .try_to_vec()
            .unwrap()
    }
    for shape in SHAPES {
        let n: usize = shape.iter().product();
        let x = make(noise(n), shape.to_vec());
        let fast = Flex::slice_distances(x.clone());
        let plain = composition::slice_distances::<Flex>(x.clone());
        let expected = host::<Flex>(plain.clone());
        let scale = f64::from(expected.iter().copied().fold(0.0, f32::max));
        assert_close(
            "distances",
            &host::<Flex>(fast.clone()),
            &expected,
            3e-6 * scale,
        );
        let pairs = shape[0] * shape[1] * (shape[2] - 1);
        let g = make(noise(pairs), vec![shape[0], shape[1], shape[2] - 1]);
        let fast = host::<Flex>(Flex::slice_distances_backward(x.clone(), fast, g.clone()));
        let plain = host::<Flex>(composition::slice_distances_backward::<Flex>(x, plain, g));
        let scale = f64::from(plain.iter().fold(0f32, |a, v| a.max(v.abs())));
        assert_close("gradient", &fast, &plain, 2e-5 * scale);
    }
}

#[test]
fn value_and_gradient_equal_pytorch() {
    let golden = Golden::open("a_zdiversity");
    let device = device().autodiff();
    let cases: Vec<String> = golden
        .keys()
        .iter()
        .filter_map(|k| k.strip_suffix(".delta").map(str::to_owned))
        .collect();
    assert_eq!(cases.len(), 9, "all cases of the fixture");
    for case in cases {
        let delta = golden
            .tensor::<5>(&format!("{case}.delta"), &device)
            .require_grad();
        let [b, _, d, h, w] = delta.dims();
        let support = Tensor::ones([b, 1, d, h, w], &device);
        let value = inter_slice_divergence(delta.clone(), &support, IscScaling::Reference).unwrap();
        let gradients = value.backward();
        let expected = golden.values(&format!("{case}.value"));
        assert_close(
            &case,
            &values(value),
            &expected,
            1e-5 * f64::from(expected[0]),
        );
        let expected = golden.values(&format!("{case}.grad"));
        let largest = f64::from(expected.iter().fold(0f32, |a, v| a.max(v.abs())));
        let tolerance = if case.starts_with("const") {
            1e-4
        } else {
            1e-5
        };
        assert_close(
            &format!("{case} gradient"),
            &values(delta.grad(&gradients).unwrap()),
            &expected,
            tolerance * largest,
        );
    }
}

/// The gradient of the divergence at `x` against central differences, within 2 % of its maximum.
fn check_gradient(x: &[f32], shape: [usize; 5], support: &Tensor<5>, scaling: IscScaling) {
    let delta = tensor(x.to_vec(), shape).require_grad();
    let value = inter_slice_divergence(delta.clone(), support, scaling).unwrap();
    let got = values(delta.grad(&value.backward()).unwrap());
    let expected: Vec<f32> = central_difference(
        |x| {
            let t = tensor(x.to_vec(), shape).detach();
            f64::from(values(inter_slice_divergence(t, support, scaling).unwrap())[0])
        },
        x,
        1e-3,
    )
    .iter()
    .map(|&v| v as f32)
    .collect();
    let scale = f64::from(expected.iter().fold(0f32, |a, v| a.max(v.abs())));
    assert_close(&format!("{scaling:?}"), &got, &expected, 0.02 * scale);
}

#[test]
fn normalised_gradient_equals_central_differences() {
    let shape = [1, 2, 4, 5, 6];
    let n: usize = shape.iter().product();
    let mut mask = vec![1.0; n / 2];
    mask[..30].fill(0.0);
    let x: Vec<f32> = noise(n)
        .iter()
        .enumerate()
        .map(|(i, v)| v * 0.01 * mask[i % (n / 2)])
        .collect();
    let support = tensor(mask, [1, 1, 4, 5, 6]);
    let scaling = IscScaling::Normalised { epsilon: 0.01 };
    check_gradient(&x, shape, &support, scaling);
}

#[test]
fn normalised_value_does_not_depend_on_the_grid() {
    // Constant slices against empty ones, the largest possible contrast of one slice.
    let mut seen = Vec::new();
    for n in [8, 16, 30] {
        let epsilon = 4.0 / 255.0;
        let x: Vec<f32> = (0..6 * n * n)
            .map(|i| {
                if (i / (n * n)) % 2 == 0 {
                    epsilon as f32
                } else {
                    0.0
                }
            })
            .collect();
        let shape = [1, 1, 6, n, n];
        let support = tensor(vec![1.0; 6 * n * n], shape);
        let scaling = IscScaling::Normalised { epsilon };
        seen.push(values(inter_slice_divergence(tensor(x, shape), &support, scaling).unwrap())[0]);
    }
    let expected = (0.5f32).sqrt();
    assert_close("grid sizes", &seen, &[expected; 3], 1e-4);
}

#[test]
fn phase_scaling_sees_a_change_of_sign_that_amplitudes_do_not() {
    let (n, epsilon) = (9, 4.0 / 255.0);
    let shape = [1, 1, 5, n, n];
    // The same checkerboard of support in every slice.
    let mask: Vec<f32> = (0..5 * n * n)
        .map(|i| ((i % (n * n) + 1) % 2) as f32)
        .collect();
    let x: Vec<f32> = (0..mask.len())
        .map(|i| {
            let sign = if (i / (n * n)) % 2 == 0 { 1.0 } else { -1.0 };
            sign * mask[i] * epsilon as f32
        })
        .collect();
    let support = tensor(mask, shape);
    let of = |scaling| {
        values(inter_slice_divergence(tensor(x.clone(), shape), &support, scaling).unwrap())[0]
    };
    assert!(of(IscScaling::Normalised { epsilon }) < 1e-3);
    let phase = of(IscScaling::Phase { epsilon });
    assert!((phase - 1.0).abs() < 1e-3, "{phase}");
}

#[test]
fn phase_gradient_equals_central_differences() {
    let shape = [1, 1, 3, 4, 5];
    let x: Vec<f32> = noise(60).iter().map(|v| v * 0.01).collect();
    let support = tensor(vec![1.0; 60], shape);
    let scaling = IscScaling::Phase { epsilon: 0.01 };
    check_gradient(&x, shape, &support, scaling);
}

#[test]
fn bad_arguments_are_typed_errors() {
    let flat = tensor(vec![0.0; 12], [1, 1, 1, 3, 4]);
    assert!(matches!(
        slice_distances(flat),
        Err(KernelError::TooShort {
            axis: "depth",
            least: 2,
            got: 1,
            ..
        })
    ));
    let empty = Tensor::<5>::zeros([1, 1, 2, 0, 4], &device());
    for scaling in [IscScaling::Reference, IscScaling::Phase { epsilon: 0.1 }] {
        assert!(matches!(
            inter_slice_divergence(empty.clone(), &empty, scaling),
            Err(KernelError::TooShort { axis: "height", .. })
        ));
    }
    let x = tensor(vec![0.0; 24], [1, 1, 2, 3, 4]);
    let wrong = tensor(vec![0.0; 12], [1, 1, 1, 3, 4]);
    assert!(matches!(
        inter_slice_divergence(x.clone(), &wrong, IscScaling::Reference),
        Err(KernelError::Shape {
            argument: "support",
            ..
        })
    ));
    let support = tensor(vec![0.0; 24], [1, 1, 2, 3, 4]);
    assert!(matches!(
        inter_slice_divergence(x, &support, IscScaling::Normalised { epsilon: 0.0 }),
        Err(KernelError::Parameter {
            parameter: "epsilon",
            ..
        })
    ));
}
