//! Random changes between the protected patch and the network: what each does, and that gradients come back through it.

use burn::tensor::{Int, Tensor, TensorData};
use voxshield_kernels::{AxisMap, map_axes};
use voxshield_perturb::{Family, Transforms, View};
use voxshield_testkit::{assert_close, central_difference, device};

const SHAPE: [usize; 5] = [2, 1, 5, 6, 7];
const VOXELS: usize = 5 * 6 * 7;

fn image() -> Vec<f32> {
    (0..2 * VOXELS)
        .map(|i| 0.5 + 0.4 * (i as f32 * 0.7).sin())
        .collect()
}

fn tensor(values: &[f32]) -> Tensor<5> {
    Tensor::from_data(TensorData::new(values.to_vec(), SHAPE), &device())
}

fn values(tensor: Tensor<5>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

fn only(family: Family) -> Transforms {
    Transforms::new(vec![(family, 1.0)]).expect("a probability")
}

/// `sum_i w_i T(x)_i` with fixed weights: its gradient is the transposed change.
fn weighted(view: &View, x: &[f32]) -> f64 {
    let seen = values(view.image(tensor(x)));
    let weight = |i: usize| (i as f64 * 0.31).cos();
    seen.iter()
        .enumerate()
        .map(|(i, &v)| weight(i) * f64::from(v))
        .sum()
}

#[test]
fn gradients_are_those_of_central_differences() {
    let x = image();
    for family in Family::ALL {
        let view = only(family).draw(2, 7, 3);
        let tracked =
            Tensor::<5>::from_data(TensorData::new(x.clone(), SHAPE), &device().autodiff())
                .require_grad();
        let weights: Vec<f32> = (0..2 * VOXELS)
            .map(|i| (i as f64 * 0.31).cos() as f32)
            .collect();
        let loss = (view.image(tracked.clone()) * tensor(&weights)).sum();
        let gradient = tracked.grad(&loss.backward()).expect("a gradient");
        let expected = central_difference(|x| weighted(&view, x), &x, 1e-2);
        let found: Vec<f32> = values(gradient);
        for (i, (found, expected)) in found.iter().zip(&expected).enumerate() {
            let error = (f64::from(*found) - expected).abs();
            assert!(error < 2e-3, "{family:?} {i}: {found} {expected}");
        }
    }
}

#[test]
fn every_family_changes_the_image_keeps_its_range_and_repeats_with_its_seed() {
    let x = image();
    for family in Family::ALL {
        let seen = |seed, step| values(only(family).draw(2, seed, step).image(tensor(&x)));
        let a = seen(1, 5);
        assert_eq!(a, seen(1, 5), "{family:?}");
        // A mirror has eight outcomes; out of eight steps one at least differs.
        assert!((6..14).any(|step| seen(1, step) != a), "{family:?}");
        assert!((0..8).any(|step| seen(2, step) != x), "{family:?}");
        assert!(a.iter().all(|v| (0.0..=1.0).contains(v)), "{family:?}");
    }
}

/// Where the image is the label, moved alike, both stay together: exactly for mirrors, for rotations to the nearest voxel.
#[test]
fn labels_move_with_the_image() {
    let label = |i: usize| {
        let (z, y, x) = (i / 42 % 5, i / 7 % 6, i % 7);
        i32::from(z < 3 && y > 2 && x < 4)
    };
    let labels: Vec<i32> = (0..2 * VOXELS).map(label).collect();
    let x: Vec<f32> = labels.iter().map(|&l| l as f32).collect();
    let y = Tensor::<4, Int>::from_data(TensorData::new(labels, [2, 5, 6, 7]), &device());
    for family in Family::ALL {
        for step in 0..10 {
            let view = only(family).draw(2, 3, step);
            let seen = values(view.image(tensor(&x)));
            let moved: Vec<i32> = view.labels(y.clone()).into_data().iter::<i32>().collect();
            let apart = seen
                .iter()
                .zip(&moved)
                .filter(|(image, label)| (**image > 0.5) != (**label == 1))
                .count();
            let allowed = match family {
                Family::Mirror | Family::Gamma => 0,
                _ => 60,
            };
            assert!(apart <= allowed, "{family:?} {step}: {apart}");
        }
    }
}

#[test]
fn without_transforms_nothing_is_touched() {
    let x = image();
    for view in [Transforms::none().draw(2, 0, 0), View::identity()] {
        assert_eq!(values(view.image(tensor(&x))), x);
    }
    let never = Transforms::new(vec![(Family::Blur, 0.0)]).expect("a probability");
    assert_eq!(values(never.draw(2, 0, 0).image(tensor(&x))), x);
}

/// A product of one-dimensional Gaussians, computed here in `f64`.
#[test]
fn a_map_along_each_axis_is_a_separable_filter() {
    let (sigma, radius) = (0.8f64, 3i64);
    let kernel: Vec<f64> = (-radius..=radius)
        .map(|d| (-((d * d) as f64) / (2.0 * sigma * sigma)).exp())
        .collect();
    let sum: f64 = kernel.iter().sum();
    let x = image();
    let at = |b: usize, p: [i64; 3]| {
        let n = [5i64, 6, 7];
        let p: Vec<usize> = (0..3).map(|a| p[a].clamp(0, n[a] - 1) as usize).collect();
        f64::from(x[b * VOXELS + (p[0] * 6 + p[1]) * 7 + p[2]])
    };
    let mut expected = Vec::new();
    for i in 0..2 * VOXELS {
        let (b, z, y, x) = (i / VOXELS, i / 42 % 5, i / 7 % 6, i % 7);
        let mut total = 0.0;
        for dz in -radius..=radius {
            for dy in -radius..=radius {
                for dx in -radius..=radius {
                    let weight = [dz, dy, dx]
                        .map(|d| kernel[(d + radius) as usize] / sum)
                        .iter()
                        .product::<f64>();
                    total += weight * at(b, [z as i64 + dz, y as i64 + dy, x as i64 + dx]);
                }
            }
        }
        expected.push(total as f32);
    }
    let gaussian = |n| Some(AxisMap::gaussian(n, sigma).expect("a width"));
    let maps = [5, 6, 7].map(gaussian);
    let found = values(map_axes(tensor(&x), &maps).expect("maps that fit"));
    assert_close("separable filter", &found, &expected, 1e-6);
    let wrong = [None, gaussian(5), None];
    let error = map_axes(tensor(&x), &wrong).expect_err("another length");
    assert!(error.to_string().contains("[2, 1, 5, 5, 7]"), "{error}");
}
