//! The slice distances on the device under test: the device's kernel against the composition of
//! tensor operations on the same device, and its gradient against differences of the f64 reference.

use burn::backend::Dispatch;
use burn::tensor::{Tensor, TensorData};
use voxshield_kernels::{
    ops::{SpectralOps, composition},
    reference,
};
use voxshield_testkit::{assert_close, central_difference, device, max_abs};

/// Deterministic values in -1..1 without a generator.
fn noise(seed: usize, n: usize) -> Vec<f32> {
    (seed..seed + n)
        .map(|i| ((i % 65_521).pow(2) % 1009 * 7 + i % 13) as f32 / 3540.0 - 1.0)
        .collect()
}

fn make<const D: usize>(values: Vec<f32>, shape: [usize; D]) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values, shape), &device())
}

fn values<const D: usize>(tensor: &Tensor<D>) -> Vec<f32> {
    tensor.to_data().try_to_vec().expect("f32 tensor")
}

/// Distances, and the gradient of their sum weighted by `weights`.
fn kernel(x: &Tensor<5>, weights: &Tensor<3>) -> (Tensor<3>, Tensor<5>) {
    let x = || x.clone().into_dispatch();
    let distances = Tensor::<3>::from_dispatch(Dispatch::slice_distances(x()));
    let gradient = Dispatch::slice_distances_backward(
        x(),
        distances.clone().into_dispatch(),
        weights.clone().into_dispatch(),
    );
    (distances, Tensor::from_dispatch(gradient))
}

fn plain(x: &Tensor<5>, weights: &Tensor<3>) -> (Tensor<3>, Tensor<5>) {
    let x = || x.clone().into_dispatch();
    let distances = Tensor::<3>::from_dispatch(composition::slice_distances::<Dispatch>(x()));
    let gradient = composition::slice_distances_backward::<Dispatch>(
        x(),
        distances.clone().into_dispatch(),
        weights.clone().into_dispatch(),
    );
    (distances, Tensor::from_dispatch(gradient))
}

fn weights([batch, channels, depth, _, _]: [usize; 5]) -> Tensor<3> {
    let shape = [batch, channels, depth - 1];
    make(noise(91, shape.iter().product()), shape)
}

fn check(x: &Tensor<5>) {
    let what = format!("{:?}", x.dims());
    let weights = weights(x.dims());
    let (kernel, plain) = (kernel(x, &weights), plain(x, &weights));
    let expected = values(&plain.0);
    assert_close(
        &what,
        &values(&kernel.0),
        &expected,
        4e-6 * max_abs(&expected),
    );
    // The composition's sums of whole rows are the less exact of the two.
    let expected = values(&plain.1);
    assert_close(
        &what,
        &values(&kernel.1),
        &expected,
        1e-4 * max_abs(&expected),
    );
}

#[test]
fn kernel_equals_composition() {
    for shape in [
        [2, 3, 5, 12, 10],
        [1, 1, 3, 1, 8],
        [1, 2, 4, 8, 1],
        [3, 1, 2, 1, 1],
        // Primes: in registers, by the definition, and too large for the kernels.
        [2, 1, 3, 7, 5],
        [1, 1, 3, 11, 13],
        [1, 1, 3, 61, 22],
        [1, 1, 3, 67, 4],
        [1, 1, 3, 6, 134],
        // More slices than a segment, and volumes that share one.
        [1, 1, 37, 5, 6],
        [2, 4, 3, 9, 15],
        // The size that the benchmarks take, and one that fills a cube's memory.
        [1, 1, 4, 160, 160],
        [1, 1, 3, 1024, 3],
        [1, 1, 3, 3, 1024],
        // Too tall for it.
        [1, 1, 3, 1200, 2],
    ] {
        check(&make(noise(3, shape.iter().product()), shape));
    }
}

#[test]
fn volumes_of_several_chunks() {
    // 8 MiB hold 8192 slices of 16 x 15, and 7281 of 16 x 16.
    for shape in [[2, 1, 4500, 16, 15], [1, 1, 9001, 16, 16]] {
        check(&make(noise(5, shape.iter().product()), shape));
    }
}

#[test]
fn views_mean_what_they_show() {
    let x = make(noise(7, 2 * 8 * 6 * 5 * 7), [8, 2, 6, 7, 5]);
    check(
        &x.slice([1..6, 0..2, 2..5, 0..7, 1..5])
            .permute([1, 2, 0, 4, 3]),
    );
}

#[test]
fn gradient_equals_differences_of_the_reference() {
    for shape in [
        [1, 2, 3, 5, 6],
        [2, 1, 4, 4, 3],
        [1, 1, 3, 1, 7],
        [1, 1, 2, 11, 2],
    ] {
        let [batch, channels, depth, height, width] = shape;
        let x = noise(11, shape.iter().product());
        let weights = weights(shape);
        let objective = |x: &[f32]| -> f64 {
            let x: Vec<f64> = x.iter().map(|&v| v.into()).collect();
            let distances =
                reference::slice_distances(&x, [batch * channels, depth, height, width]);
            let terms = distances.iter().zip(values(&weights));
            terms.map(|(d, w)| d * f64::from(w)).sum()
        };
        let expected: Vec<f32> = central_difference(objective, &x, 1e-3)
            .iter()
            .map(|&v| v as f32)
            .collect();
        let (_, gradient) = kernel(&make(x, shape), &weights);
        let tolerance = 1e-3 * max_abs(&expected);
        assert_close(
            &format!("{shape:?}"),
            &values(&gradient),
            &expected,
            tolerance,
        );
    }
}

#[test]
fn empty_slices_get_no_gradient() {
    // The gradient of |F| at 0 is 0; an odd height puts the last row of a slice beside no other.
    let shape = [1, 1, 5, 9, 10];
    let mut x = noise(3, 450);
    x[90..180].fill(0.0);
    x[270..360].fill(0.0);
    let (_, gradient) = kernel(&make(x, shape), &weights(shape));
    let gradient = values(&gradient);
    assert_eq!(max_abs(&gradient[90..180]), 0.0);
    assert_eq!(max_abs(&gradient[270..360]), 0.0);
    assert!(max_abs(&gradient[..90]) > 0.1);
}
