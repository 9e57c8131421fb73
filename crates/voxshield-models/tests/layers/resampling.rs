use burn::tensor::{Tensor, TensorData};
use voxshield_models::{elu, max_pool_halving, upsample_trilinear};
use voxshield_testkit::{assert_close, device};

use crate::{check_gradient, numbers, tensor, values};

/// Trilinear interpolation at the centre of every voxel of the doubled grid, in f64.
fn upsample_reference(x: &[f32], [maps, d, h, w]: [usize; 4]) -> Vec<f32> {
    // The two neighbours of an output position, and the share of the second.
    let neighbours = |at: usize, size: usize| {
        let position = ((at as f64 + 0.5) / 2.0 - 0.5).clamp(0.0, (size - 1) as f64);
        let low = position.floor() as usize;
        [
            (low, 1.0 - position.fract()),
            ((low + 1).min(size - 1), position.fract()),
        ]
    };
    let mut y = Vec::new();
    for map in 0..maps {
        for (i, j, k) in grid([2 * d, 2 * h, 2 * w]) {
            let mut sum = 0.0;
            for (a, u) in neighbours(i, d) {
                for (b, v) in neighbours(j, h) {
                    for (c, t) in neighbours(k, w) {
                        sum += u * v * t * f64::from(x[((map * d + a) * h + b) * w + c]);
                    }
                }
            }
            y.push(sum as f32);
        }
    }
    y
}

fn grid([d, h, w]: [usize; 3]) -> impl Iterator<Item = (usize, usize, usize)> {
    (0..d * h * w).map(move |i| (i / (h * w), i / w % h, i % w))
}

#[test]
fn upsampling_interpolates_between_voxel_centres() {
    for shape in [[2, 3, 3, 4, 5], [1, 2, 1, 2, 1]] {
        let [batch, channels, d, h, w] = shape;
        let reference = |x: &[f32]| upsample_reference(x, [batch * channels, d, h, w]);
        let x = numbers(11, shape);
        let y = upsample_trilinear(tensor(&x, shape));
        assert_eq!(y.dims(), [batch, channels, 2 * d, 2 * h, 2 * w]);
        assert_close("upsampled", &values(y), &reference(&x), 1e-6);
        check_gradient(upsample_trilinear, reference, &x, shape);
    }
}

fn pool_reference(x: &[f32], [maps, d, h, w]: [usize; 4]) -> Vec<f32> {
    let mut y = Vec::new();
    for map in 0..maps {
        for (i, j, k) in grid([d / 2, h / 2, w / 2]) {
            let block = grid([2; 3])
                .map(|(a, b, c)| x[((map * d + 2 * i + a) * h + 2 * j + b) * w + 2 * k + c]);
            y.push(block.fold(f32::MIN, f32::max));
        }
    }
    y
}

#[test]
fn pooling_takes_the_largest_of_eight() {
    let shape = [2, 3, 2, 4, 6];
    // A permutation: neighbours differ by more than the step of the central difference.
    let x: Vec<f32> = (0..288)
        .map(|i| (i * 97 % 288) as f32 / 16.0 - 9.0)
        .collect();
    let reference = |x: &[f32]| pool_reference(x, [6, 2, 4, 6]);
    let y = max_pool_halving(tensor(&x, shape));
    assert_eq!(y.dims(), [2, 3, 1, 2, 3]);
    assert_close("pooled", &values(y), &reference(&x), 0.0);
    check_gradient(max_pool_halving, reference, &x, shape);
}

#[test]
fn the_first_of_equal_voxels_has_the_gradient_of_the_pool() {
    let leaf = Tensor::<5>::ones([1, 1, 2, 2, 2], &device().autodiff()).require_grad();
    let gradients = max_pool_halving(leaf.clone()).sum().backward();
    let gradient = values(leaf.grad(&gradients).expect("a gradient"));
    assert_eq!(gradient, [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
}

#[test]
fn elu_and_its_gradient_stay_finite() {
    let x = [-200.0, -2.0, -0.5, 0.0, 0.5, 200.0];
    let shape = [1, 1, 1, 2, 3];
    let leaf = Tensor::<5>::from_data(TensorData::new(x.to_vec(), shape), &device().autodiff());
    let leaf = leaf.require_grad();
    let y = elu(leaf.clone());
    let expected = x.map(|x: f32| if x > 0.0 { x } else { x.exp_m1() });
    assert_close("elu", &values(y.clone().inner()), &expected, 1e-7);
    let gradients = y.sum().backward();
    let gradient = values(leaf.grad(&gradients).expect("a gradient"));
    let expected = x.map(|x| if x > 0.0 { 1.0 } else { x.exp() });
    assert_close("gradient", &gradient, &expected, 1e-7);
}
