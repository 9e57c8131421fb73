//! The operations behind DiceCE and SPD on the device under test: against the f64 references, and the
//! device's kernel against the composition of tensor operations on the same device.

use burn::backend::{Dispatch, tensor::FloatTensor};
use burn::tensor::{Int, Tensor, TensorData};
use voxshield_kernels::{
    ops::{
        DivergenceOps, OverlapOps,
        divergence::composition as divergence,
        overlap::{OVERLAP_SUMS, composition as overlap},
    },
    reference,
};
use voxshield_testkit::{assert_close, device, max_abs};

/// Deterministic values in -4..4 without a generator.
fn noise(seed: usize, n: usize) -> Vec<f32> {
    (seed..seed + n)
        .map(|i| ((i % 65_521).pow(2) % 1009 * 7 + i % 13) as f32 / 900.0 - 4.0)
        .collect()
}

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&v| v.into()).collect()
}

fn narrow(values: &[f64]) -> Vec<f32> {
    values.iter().map(|&v| v as f32).collect()
}

fn make<const D: usize>(values: Vec<f32>, shape: [usize; D]) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values, shape), &device())
}

fn values<const D: usize>(tensor: FloatTensor<Dispatch>) -> Vec<f32> {
    let tensor = Tensor::<D>::from_dispatch(tensor);
    tensor.into_data().try_to_vec().expect("f32 tensor")
}

struct Case {
    logits: Tensor<5>,
    labels: Tensor<4, Int>,
    gradient: Tensor<3>,
    /// The reference's sums and gradient.
    sums: Vec<f32>,
    logits_gradient: Vec<f32>,
}

impl Case {
    /// Labels from -1 (none) to `classes` (too large); the class `empty` has none.
    fn new(shape: [usize; 5], empty: i64) -> Self {
        let [batch, classes, depth, height, width] = shape;
        let voxels = depth * height * width;
        let flat = [batch, classes, voxels];
        let logits = noise(3, batch * classes * voxels);
        let gradient = noise(600, batch * classes * OVERLAP_SUMS);
        let labels: Vec<i64> = (0..batch * voxels)
            .map(|i| ((i * i * 3 + i) % (classes + 2)) as i64 - 1)
            .map(|label| if label == empty { 0 } else { label })
            .collect();
        let sums = reference::overlap_sums(&wide(&logits), &labels, flat);
        let of_logits =
            reference::overlap_sums_gradient(&wide(&logits), &labels, &wide(&gradient), flat);
        let labels = TensorData::new(labels, [batch, depth, height, width]);
        Self {
            logits: make(logits, shape),
            labels: Tensor::from_data(labels, &device()),
            gradient: make(gradient, [batch, classes, OVERLAP_SUMS]),
            sums: narrow(&sums),
            logits_gradient: narrow(&of_logits),
        }
    }

    fn check(&self) {
        let what = format!("{:?}", self.logits.dims());
        let tensors = || {
            (
                self.logits.clone().into_dispatch(),
                self.labels.clone().into_dispatch(),
            )
        };
        let (logits, labels) = tensors();
        let kernel = values::<3>(Dispatch::overlap_sums(logits, labels));
        let (logits, labels) = tensors();
        let plain = values::<3>(overlap::overlap_sums::<Dispatch>(logits, labels));
        let tolerance = 1e-6 * max_abs(&self.sums);
        assert_close(&what, &kernel, &self.sums, tolerance);
        assert_close(&what, &kernel, &plain, 4.0 * tolerance);

        let gradient = || self.gradient.clone().into_dispatch();
        let (logits, labels) = tensors();
        let kernel = Dispatch::overlap_sums_backward(logits, labels, gradient());
        let kernel = values::<5>(kernel);
        let (logits, labels) = tensors();
        let plain = overlap::overlap_sums_backward::<Dispatch>(logits, labels, gradient());
        let plain = values::<5>(plain);
        // Terms as large as the incoming gradient cancel; with one class nothing else is left.
        let incoming = self.gradient.to_data().try_to_vec::<f32>();
        let tolerance = 1e-6 * max_abs(&incoming.expect("f32 tensor"));
        assert_close(&what, &kernel, &self.logits_gradient, tolerance);
        assert_close(&what, &kernel, &plain, tolerance);
    }
}

#[test]
fn overlap_sums_equal_reference_and_composition() {
    // Odd sizes, one voxel, one class, a class without voxels, one group of classes and several,
    // more than one part of the sum.
    for shape in [
        [2, 3, 5, 7, 3],
        [1, 2, 1, 1, 1],
        [2, 1, 3, 4, 5],
        [3, 5, 9, 8, 8],
        [1, 8, 4, 5, 6],
        [1, 9, 4, 5, 6],
        [2, 19, 3, 11, 13],
        [1, 300, 2, 2, 3],
        [2, 2, 33, 25, 23],
        [1, 4, 41, 40, 39],
    ] {
        Case::new(shape, 1).check();
    }
}

#[test]
fn views_of_logits_and_labels_mean_what_they_show() {
    let mut case = Case::new([2, 3, 4, 5, 6], 2);
    // The same values, in memory in another order and inside larger tensors.
    let logits = case.logits.clone().permute([4, 0, 3, 1, 2]);
    let stored = Tensor::cat(vec![logits.clone(), logits * 7.0], 0);
    let logits = stored.slice([0..6, 0..2, 0..5, 0..3, 0..4]);
    case.logits = logits.permute([1, 3, 4, 2, 0]);
    let labels = case.labels.clone().swap_dims(0, 3);
    let stored = Tensor::cat(vec![labels.clone() + 1, labels], 1);
    case.labels = stored.slice([0..6, 4..8, 0..5, 0..2]).swap_dims(0, 3);
    case.gradient = case
        .gradient
        .clone()
        .swap_dims(0, 1)
        .mul_scalar(1.0)
        .swap_dims(0, 1);
    case.check();
}

#[test]
fn more_rows_of_sums_than_cubes_along_an_axis() {
    Case::new([2, 9000, 1, 1, 1], 1).check();
}

#[test]
fn infinite_and_large_logits_do_not_spread() {
    // Class 1 is impossible everywhere and nobody's label; class 2 is certain.
    let mut logits = vec![0.0; 6];
    logits[2..4].fill(f32::NEG_INFINITY);
    logits[4..].fill(3e4);
    let logits = make(logits, [1, 3, 1, 1, 2]);
    let labels = TensorData::new(vec![2i64, 0], [1, 1, 1, 2]);
    let labels = Tensor::<4, Int>::from_data(labels, &device());
    let sums = Dispatch::overlap_sums(
        logits.clone().into_dispatch(),
        labels.clone().into_dispatch(),
    );
    let expected = [0.0, 0.0, 1.0, 3e4, 0.0, 0.0, 0.0, 0.0, 1.0, 2.0, 1.0, 0.0];
    assert_close("sums", &values::<3>(sums), &expected, 1e-30);
    let gradient = make(vec![1.0; 12], [1, 3, 4]);
    let gradient = values::<5>(Dispatch::overlap_sums_backward(
        logits.into_dispatch(),
        labels.into_dispatch(),
        gradient.into_dispatch(),
    ));
    // p (a - mean + n) - t n: the certain class costs the other voxel 1, and gives it nothing.
    assert_close(
        "gradient",
        &gradient,
        &[0.0, -1.0, 0.0, 0.0, 0.0, 1.0],
        1e-30,
    );
}

#[test]
fn labels_of_narrow_types_mean_the_same() {
    use burn::tensor::DType;
    let case = Case::new([2, 3, 5, 7, 3], 0);
    let labels = case.labels.clone().cast(DType::I32);
    let sums = Dispatch::overlap_sums(case.logits.clone().into_dispatch(), labels.into_dispatch());
    assert_close(
        "i32",
        &values::<3>(sums),
        &case.sums,
        1e-6 * max_abs(&case.sums),
    );
}

fn check_mean_distance(a: Tensor<5>, b: Tensor<5>) {
    let (x, y) = (a.clone().into_data(), b.clone().into_data());
    let (x, y): (Vec<f32>, Vec<f32>) = (x.try_to_vec().unwrap(), y.try_to_vec().unwrap());
    let n = x.len();
    let expected = reference::semantic_divergence(&wide(&x), &wide(&y));
    let pair = || (a.clone().into_dispatch(), b.clone().into_dispatch());
    let (a, b) = pair();
    let kernel = values::<1>(Dispatch::mean_distance(a, b))[0];
    assert!(
        (f64::from(kernel) - expected).abs() <= 4e-7 * expected,
        "{n}: {kernel} {expected}"
    );

    let three = || make(vec![3.0], [1]).into_dispatch();
    let share = 3.0 / n as f32;
    let signs: Vec<f32> = x
        .iter()
        .zip(&y)
        .map(|(a, b)| if a == b { 0.0 } else { share.copysign(a - b) })
        .collect();
    let (a, b) = pair();
    let kernel = values::<5>(Dispatch::mean_distance_backward(a, b, three()));
    let tolerance = 3e-7 * f64::from(share);
    assert_close(&format!("{n}"), &kernel, &signs, tolerance);
    let (a, b) = pair();
    let plain = divergence::mean_distance_backward::<Dispatch>(a, b, three());
    assert_close(
        &format!("{n} plain"),
        &values::<5>(plain),
        &kernel,
        tolerance,
    );
}

#[test]
fn mean_distance_equals_reference_and_composition() {
    for n in [1, 7, 255, 2049, 70_000, (1 << 17) + 3] {
        let (mut a, b) = (noise(3, n), noise(40, n));
        a[n / 2] = b[n / 2];
        check_mean_distance(make(a, [1, 1, 1, 1, n]), make(b, [1, 1, 1, 1, n]));
    }
}

#[test]
fn mean_distance_takes_views() {
    let a = make(noise(3, 120), [1, 2, 3, 4, 5]);
    let b = make(noise(77, 240), [2, 4, 5, 3, 2]).slice([1..2, 0..4, 0..5, 0..3, 0..2]);
    check_mean_distance(a, b.permute([0, 4, 3, 1, 2]));
}

#[test]
fn mean_distance_of_more_elements_than_one_grid_axis_holds() {
    let n = (1 << 24) + 4099;
    check_mean_distance(
        make(noise(3, n), [1, 1, 1, 1, n]),
        make(noise(40, n), [1, 1, 1, 1, n]),
    );
}
