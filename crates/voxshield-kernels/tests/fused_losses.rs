//! The kernels behind DiceCE and SPD, and their compositions, against the f64 references.
#![cfg(feature = "flex")]

use burn::backend::{Flex, flex::FlexTensor};
use burn::tensor::{DType, Int, IntDType, Tensor, TensorData};
use voxshield_kernels::{
    DiceCe, KernelError,
    ops::{
        DivergenceOps, OverlapOps, SpectralOps,
        divergence::composition as divergence,
        overlap::{OVERLAP_SUMS, composition as overlap},
    },
    reference, semantic_divergence,
};
use voxshield_testkit::{assert_close, central_difference, device, max_abs};

/// Deterministic values in -4..4 without a generator.
fn noise(seed: usize, n: usize) -> Vec<f32> {
    (seed..seed + n)
        .map(|i| ((i * i * 7 + i * 13 + 5) % 1009) as f32 / 126.125 - 4.0)
        .collect()
}

/// Labels from -1 (none) to `classes` (too large).
fn labels(n: usize, classes: usize) -> Vec<i64> {
    (0..n)
        .map(|i| ((i * i * 3 + i) % (classes + 2)) as i64 - 1)
        .collect()
}

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&v| v.into()).collect()
}

fn narrow(values: &[f64]) -> Vec<f32> {
    values.iter().map(|&v| v as f32).collect()
}

fn primitive(values: Vec<f32>, shape: &[usize]) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, shape.to_vec()))
}

fn host(t: FlexTensor) -> Vec<f32> {
    t.into_data().try_to_vec().expect("f32 tensor")
}

/// Odd sizes, one voxel, one sample and several, blocks that are not full, more than one chunk.
const SHAPES: [[usize; 5]; 5] = [
    [2, 3, 5, 7, 3],
    [1, 2, 1, 1, 1],
    [3, 5, 9, 8, 8],
    [1, 14, 3, 11, 13],
    [2, 2, 33, 25, 23],
];

struct Case {
    logits: Vec<f32>,
    labels: Vec<i64>,
    gradient: Vec<f32>,
    shape: [usize; 5],
    /// `[batch, class, voxel]`
    flat: [usize; 3],
}

impl Case {
    fn new(shape: [usize; 5]) -> Self {
        let [batch, classes, depth, height, width] = shape;
        let voxels = depth * height * width;
        Self {
            logits: noise(3, batch * classes * voxels),
            labels: labels(batch * voxels, classes),
            gradient: noise(600, batch * classes * OVERLAP_SUMS),
            shape,
            flat: [batch, classes, voxels],
        }
    }

    fn tensors(&self) -> [FlexTensor; 3] {
        let [batch, classes, _] = self.flat;
        let [_, _, sizes @ ..] = self.shape;
        let [depth, height, width] = sizes;
        let labels = TensorData::new(self.labels.clone(), [batch, depth, height, width]);
        [
            primitive(self.logits.clone(), &self.shape),
            FlexTensor::from_data(labels),
            primitive(self.gradient.clone(), &[batch, classes, OVERLAP_SUMS]),
        ]
    }
}

#[test]
fn overlap_sums_equal_the_reference() {
    for shape in SHAPES {
        let case = Case::new(shape);
        let expected = reference::overlap_sums(&wide(&case.logits), &case.labels, case.flat);
        let expected = narrow(&expected);
        let [logits, labels, _] = case.tensors();
        let tolerance = 1e-6 * max_abs(&expected);
        let kernel = host(Flex::overlap_sums(logits.clone(), labels.clone()));
        assert_close(&format!("{shape:?} kernel"), &kernel, &expected, tolerance);
        let plain = host(overlap::overlap_sums::<Flex>(logits, labels));
        assert_close(
            &format!("{shape:?} plain"),
            &plain,
            &expected,
            3.0 * tolerance,
        );
    }
}

#[test]
fn the_gradient_of_overlap_sums_equals_the_reference() {
    for shape in SHAPES {
        let case = Case::new(shape);
        let expected = reference::overlap_sums_gradient(
            &wide(&case.logits),
            &case.labels,
            &wide(&case.gradient),
            case.flat,
        );
        let expected = narrow(&expected);
        let tolerance = 1e-6 * max_abs(&expected);
        let [logits, labels, gradient] = case.tensors();
        let kernel = Flex::overlap_sums_backward(logits.clone(), labels.clone(), gradient.clone());
        assert_close(
            &format!("{shape:?} kernel"),
            &host(kernel),
            &expected,
            tolerance,
        );
        let plain = overlap::overlap_sums_backward::<Flex>(logits, labels, gradient);
        assert_close(
            &format!("{shape:?} plain"),
            &host(plain),
            &expected,
            tolerance,
        );
    }
}

#[test]
fn the_reference_gradient_equals_central_differences() {
    let case = Case::new([2, 3, 1, 2, 3]);
    let objective = |logits: &[f32]| -> f64 {
        let sums = reference::overlap_sums(&wide(logits), &case.labels, case.flat);
        let terms = sums.iter().zip(&case.gradient);
        terms.map(|(sum, &g)| sum * f64::from(g)).sum()
    };
    let expected = narrow(&central_difference(objective, &case.logits, 1e-3));
    let got = reference::overlap_sums_gradient(
        &wide(&case.logits),
        &case.labels,
        &wide(&case.gradient),
        case.flat,
    );
    assert_close(
        "logits",
        &narrow(&got),
        &expected,
        1e-5 * max_abs(&expected),
    );
}

#[test]
fn labels_of_every_integer_type_mean_the_same() {
    let case = Case::new(SHAPES[0]);
    let [logits, labels, _] = case.tensors();
    let expected = host(Flex::overlap_sums(logits.clone(), labels.clone()));
    for dtype in [IntDType::I32, IntDType::I8] {
        use burn::backend::ops::IntTensorOps;
        let labels = Flex::int_cast(labels.clone(), dtype);
        assert_eq!(labels.dtype(), DType::from(dtype));
        assert_eq!(host(Flex::overlap_sums(logits.clone(), labels)), expected);
    }
}

#[test]
fn infinite_and_large_logits_do_not_spread() {
    // Class 1 is impossible everywhere and nobody's label; class 2 is certain.
    let mut logits = vec![0.0; 6];
    logits[2..4].fill(f32::NEG_INFINITY);
    logits[4..].fill(3e4);
    let logits = primitive(logits, &[1, 3, 1, 1, 2]);
    let labels = FlexTensor::from_data(TensorData::new(vec![2i64, 0], [1, 1, 1, 2]));
    let sums = host(Flex::overlap_sums(logits.clone(), labels.clone()));
    let expected = [0.0, 0.0, 1.0, 3e4, 0.0, 0.0, 0.0, 0.0, 1.0, 2.0, 1.0, 0.0];
    assert_close("sums", &sums, &expected, 1e-30);
    let gradient = primitive(vec![1.0; 12], &[1, 3, 4]);
    let gradient = host(Flex::overlap_sums_backward(logits, labels, gradient));
    assert!(gradient.iter().all(|v| v.is_finite()), "{gradient:?}");
}

#[test]
fn every_number_of_threads_gives_the_same_bits() {
    let case = Case::new([1, 3, 41, 40, 39]);
    let bits = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        let results = pool.build().unwrap().install(|| {
            let [logits, labels, gradient] = case.tensors();
            let shifted = primitive(noise(8, case.logits.len()), &case.shape);
            let one = primitive(vec![1.0], &[1]);
            let distances = Flex::slice_distances(logits.clone());
            [
                distances.clone(),
                Flex::slice_distances_backward(logits.clone(), distances.clone(), distances),
                Flex::overlap_sums(logits.clone(), labels.clone()),
                Flex::overlap_sums_backward(logits.clone(), labels, gradient),
                Flex::mean_distance(logits.clone(), shifted.clone()),
                Flex::mean_distance_backward(logits, shifted, one),
            ]
        });
        results.map(|t| host(t).into_iter().map(f32::to_bits).collect::<Vec<_>>())
    };
    let one = bits(1);
    assert_eq!(one, bits(2));
    assert_eq!(one, bits(4));
}

#[test]
fn a_label_outside_the_classes_counts_nowhere_but_in_the_mean() {
    // The documented meaning: an all-zero one-hot vector, and a voxel of the mean nevertheless.
    let device = device().autodiff();
    let logits = Tensor::<5>::from_data(TensorData::new(noise(3, 8), [1, 2, 1, 2, 2]), &device)
        .require_grad();
    let labels = |v: [i64; 4]| {
        Tensor::<4, Int>::from_data(TensorData::new(v.to_vec(), [1, 1, 2, 2]), &device)
    };
    let only_dice = |v| {
        let loss = DiceCe::default()
            .forward(logits.clone(), labels(v))
            .unwrap();
        let gradients = loss.backward();
        let loss = f64::from(loss.into_scalar::<f32>());
        let gradient: Vec<f32> = logits
            .grad(&gradients)
            .unwrap()
            .into_data()
            .try_to_vec()
            .unwrap();
        (loss, gradient)
    };
    let (loss, gradient) = only_dice([255, -1, 2, 7]);
    // No label at all: the Dice term is 1 but for the smoothing, the cross-entropy is 0.
    assert!((loss - 1.0).abs() < 1e-4, "{loss}");
    assert!(max_abs(&gradient) < 1e-4, "{gradient:?}");
}

#[test]
fn mean_distance_equals_the_reference_for_both_arguments() {
    for n in [1, 7, 1 << 10, 70_000, (1 << 17) + 3] {
        let (mut a, b) = (noise(3, n), noise(40, n));
        a[n / 2] = b[n / 2];
        let expected = reference::semantic_divergence(&wide(&a), &wide(&b));
        let make = |v: &[f32]| primitive(v.to_vec(), &[1, 1, 1, 1, n]);
        let got = host(Flex::mean_distance(make(&a), make(&b)))[0];
        assert!(
            (f64::from(got) - expected).abs() <= 2e-7 * expected,
            "{n}: {got}"
        );
        let three = primitive(vec![3.0], &[1]);
        let kernel = host(Flex::mean_distance_backward(
            make(&a),
            make(&b),
            three.clone(),
        ));
        let share = 3.0 / n as f32;
        let signs: Vec<f32> = a
            .iter()
            .zip(&b)
            .map(|(a, b)| if a == b { 0.0 } else { share.copysign(a - b) })
            .collect();
        assert_eq!(kernel, signs, "{n}");
        let plain = divergence::mean_distance_backward::<Flex>(make(&a), make(&b), three);
        assert_close("plain", &host(plain), &signs, 1e-7 * f64::from(share));
    }
    let device = device().autodiff();
    let make = |seed| {
        let data = TensorData::new(noise(seed, 12), [1, 1, 3, 2, 2]);
        Tensor::<5>::from_data(data, &device).require_grad()
    };
    let (noisy, clean) = (make(1), make(2));
    let gradients = semantic_divergence(noisy.clone(), clean.clone())
        .unwrap()
        .backward();
    let sum = noisy.grad(&gradients).unwrap() + clean.grad(&gradients).unwrap();
    assert_eq!(sum.into_data().try_to_vec::<f32>().unwrap(), [0.0; 12]);
}

#[test]
fn empty_axes_are_refused() {
    let device = device();
    let logits = Tensor::<5>::zeros([1, 3, 2, 0, 2], &device);
    let labels = Tensor::zeros([1, 2, 0, 2], &device);
    assert!(matches!(
        DiceCe::default().forward(logits, labels),
        Err(KernelError::TooShort { axis: "height", .. })
    ));
}
