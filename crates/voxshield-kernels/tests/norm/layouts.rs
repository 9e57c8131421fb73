//! Maps of every size, wherever their voxels lie in memory.

use burn::tensor::DType;

use super::*;

const SLOPE: f64 = 0.1;

/// Values, then the gradients of x, weight and bias.
type Outcome = [Vec<f32>; 4];

/// What a test does to a tensor `[batch, channel, depth, height, width]` before it is used: another
/// way to lay out the same values.
type Arrange = fn(Tensor<5>) -> Tensor<5>;

fn as_it_is(x: Tensor<5>) -> Tensor<5> {
    x
}

/// Copies the values so that channels are innermost.
fn channels_last(x: Tensor<5>) -> Tensor<5> {
    let [batch, channels, depth, height, width] = x.dims();
    let values = values(x.clone().permute([0, 2, 3, 4, 1]));
    let shape = [batch, depth, height, width, channels];
    tensor(&values, shape, &x.device()).permute([0, 4, 1, 2, 3])
}

/// Copies the values so that depth and width are exchanged in memory.
fn transposed(x: Tensor<5>) -> Tensor<5> {
    let [batch, channels, depth, height, width] = x.dims();
    let values = values(x.clone().swap_dims(2, 4));
    let shape = [batch, channels, width, height, depth];
    tensor(&values, shape, &x.device()).swap_dims(2, 4)
}

/// Copies the values into the middle of a larger tensor, and looks at them there.
fn window(x: Tensor<5>) -> Tensor<5> {
    let [batch, channels, depth, height, width] = x.dims();
    let large = [batch + 1, channels + 2, depth + 1, height + 3, width + 1];
    let ranges = [
        1..batch + 1,
        1..channels + 1,
        0..depth,
        2..height + 2,
        1..width + 1,
    ];
    let large = Tensor::<5>::full(large, 7.0, &x.device()).slice_assign(ranges.clone(), x);
    large.slice(ranges)
}

/// Runs the operation; the cotangent comes in the layout of `gradient`.
fn run(
    [x, cotangent, weight, bias]: [&[f32]; 4],
    shape: [usize; 5],
    epsilon: f64,
    [arrange, gradient]: [Arrange; 2],
) -> Outcome {
    let device = device().autodiff();
    let x = arrange(tensor(x, shape, &device)).require_grad();
    let [weight, bias] = [weight, bias].map(|v| tensor(v, [shape[1]], &device).require_grad());
    let affine = Some([weight.clone(), bias.clone()]);
    let activation = NormActivation::LeakyRelu { slope: SLOPE };
    let y = instance_norm_act(x.clone(), affine, epsilon, activation).unwrap();
    let cotangent = gradient(tensor(cotangent, shape, &device));
    let gradients = (y.clone() * cotangent).sum().backward();
    [
        values(y),
        values(x.grad(&gradients).unwrap()),
        values(weight.grad(&gradients).unwrap()),
        values(bias.grad(&gradients).unwrap()),
    ]
}

fn expected(
    [x, cotangent, weight, bias]: [&[f32]; 4],
    shape: [usize; 5],
    epsilon: f64,
) -> [Vec<f64>; 4] {
    let voxels = shape[2..].iter().product();
    let [x, cotangent, weight, bias] = [x, cotangent, weight, bias].map(wide);
    let affine = [&weight[..], &bias[..]];
    let y = reference::instance_norm_act(&x, affine, voxels, epsilon, SLOPE);
    let [dx, dw, db] =
        reference::instance_norm_act_gradient(&x, affine, &cotangent, voxels, epsilon, SLOPE);
    [y, dx, dw, db]
}

/// `cotangent`, 0 where the activation's argument is so near its kink that rounding decides the slope.
fn away_from_the_kink(
    [x, cotangent, weight, bias]: [&[f32]; 4],
    shape: [usize; 5],
    epsilon: f64,
) -> Vec<f32> {
    let [y, ..] = expected([x, cotangent, weight, bias], shape, epsilon);
    let pairs = cotangent.iter().zip(y);
    pairs
        .map(|(c, y)| if y.abs() < 1e-4 { 0.0 } else { *c })
        .collect()
}

/// Within `tolerances` of values, x gradient, and of the sums in proportion to their size.
fn close(what: &str, got: &Outcome, expected: &[Vec<f64>; 4], tolerances: [f64; 3]) {
    let [value, gradient, sum] = tolerances;
    let names = ["value", "x", "weight", "bias"];
    for (index, (got, expected)) in got.iter().zip(expected).enumerate() {
        let expected = narrow(expected);
        let size = max_abs(&expected).max(1.0);
        let tolerance = [value, gradient * size, sum * size, sum * size][index];
        assert_close(
            &format!("{what} {}", names[index]),
            got,
            &expected,
            tolerance,
        );
    }
}

#[test]
fn every_layout_equals_the_reference() {
    let layouts: [(&str, Arrange); 4] = [
        ("maps", as_it_is),
        ("channels last", channels_last),
        ("transposed", transposed),
        ("window", window),
    ];
    let shapes = [
        [2, 3, 5, 7, 3],
        [1, 4, 3, 2, 1],
        [3, 32, 4, 3, 5],
        [2, 36, 9, 8, 8],
        // More channels than a cube reads side by side, in vectors of 4 and of 1.
        [2, 272, 3, 2, 2],
        [1, 131, 2, 3, 3],
        [2, 40, 1, 1, 1],
    ];
    for shape in shapes {
        let n = shape.iter().product();
        let (x, cotangent) = (noise(1, n), noise(400, n));
        let (weight, bias) = (noise(77, shape[1]), noise(5, shape[1]));
        let arrays = [&x[..], &cotangent, &weight, &bias];
        let reference = expected(arrays, shape, EPSILON);
        for (x_name, arrange) in layouts {
            for (gradient_name, gradient) in layouts {
                let what = format!("{shape:?}, x {x_name}, gradient {gradient_name},");
                let got = run(arrays, shape, EPSILON, [arrange, gradient]);
                close(&what, &got, &reference, [4e-6, 1e-5, 1e-5]);
            }
        }
    }
}

#[test]
fn a_gradient_that_is_one_number_equals_the_reference() {
    let shape = [2, 6, 4, 5, 3];
    let n = shape.iter().product();
    let (x, weight, bias) = (noise(1, n), noise(77, 6), noise(5, 6));
    for arrange in [as_it_is as Arrange, channels_last] {
        let device = device().autodiff();
        let leaf = arrange(tensor(&x, shape, &device)).require_grad();
        let affine = Some([&weight, &bias].map(|v| tensor(v, [6], &device)));
        let activation = NormActivation::LeakyRelu { slope: SLOPE };
        let y = instance_norm_act(leaf.clone(), affine, EPSILON, activation).unwrap();
        let got = values(leaf.grad(&y.sum().backward()).unwrap());
        let arrays = [&x[..], &vec![1.0; n], &weight, &bias];
        let [_, x_gradient, ..] = expected(arrays, shape, EPSILON);
        let x_gradient = narrow(&x_gradient);
        assert_close("x", &got, &x_gradient, 1e-5 * max_abs(&x_gradient).max(1.0));
    }
}

/// Values with the deviation of [`noise`] about a mean far from zero, of a small generator: the
/// period of `noise` is too short for millions.
fn far(n: usize, mean: f32, seed: u64) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        mean + ((state >> 40) as f32 / (1u64 << 23) as f32 - 1.0)
    };
    (0..n).map(|_| next()).collect()
}

#[test]
fn a_map_of_millions_of_voxels_keeps_its_digits() {
    // A volume of 160 voxels a side, and one whose size no vector divides; 40 is 70 deviations.
    for (shape, arrange) in [
        ([1, 1, 160, 160, 160], as_it_is as Arrange),
        ([1, 2, 101, 103, 107], as_it_is),
        ([1, 4, 128, 64, 64], channels_last),
    ] {
        let n = shape.iter().product();
        let (x, cotangent) = (far(n, 40.0, 3), far(n, 0.5, 9));
        let (weight, bias) = (noise(77, shape[1]), noise(5, shape[1]));
        let cotangent = away_from_the_kink([&x, &cotangent, &weight, &bias], shape, EPSILON);
        let arrays = [&x[..], &cotangent, &weight, &bias];
        let reference = expected(arrays, shape, EPSILON);
        let got = run(arrays, shape, EPSILON, [arrange, arrange]);
        // f32 resolves 4e-6 at 40, that is 7e-6 deviations.
        close(&format!("{shape:?}"), &got, &reference, [2e-5, 3e-5, 2e-5]);
    }
}

#[test]
fn a_first_voxel_far_from_the_others_costs_no_digits() {
    let shape = [2, 4, 24, 24, 24];
    let n: usize = shape.iter().product();
    let voxels = n / 8;
    for arrange in [as_it_is as Arrange, channels_last] {
        let mut x = far(n, 0.0, 5);
        for map in 0..8 {
            x[map * voxels] = 3000.0;
        }
        let (cotangent, weight, bias) = (noise(400, n), noise(77, 4), noise(5, 4));
        let arrays = [&x[..], &cotangent, &weight, &bias];
        let reference = expected(arrays, shape, EPSILON);
        let got = run(arrays, shape, EPSILON, [arrange, arrange]);
        // The outlier itself is 100 deviations, and is in the weight's gradient as such: 4e-5 were measured.
        close("outlier", &got, &reference, [5e-5, 1e-5, 1e-4]);
    }
}

#[test]
fn more_maps_than_a_launch_has_cubes_on_one_axis_equal_the_reference() {
    // 65535 is the limit of most devices. It is also how often Mesa's llvmpipe lets one unit go through
    // loops, so the samples of a channel, which one cube adds up, are fewer.
    for shape in [
        [2, 35_000, 1, 1, 2],
        [8_750, 8, 1, 2, 1],
        [1, 70_001, 1, 1, 3],
    ] {
        let n = shape.iter().product();
        let (x, cotangent) = (noise(1, n), noise(400, n));
        let (weight, bias) = (noise(77, shape[1]), noise(5, shape[1]));
        let cotangent = away_from_the_kink([&x, &cotangent, &weight, &bias], shape, 1e-2);
        let arrays = [&x[..], &cotangent, &weight, &bias];
        // A pair of almost equal values has almost no deviation: with a larger epsilon what
        // rounding does to it is not magnified.
        let got = run(arrays, shape, 1e-2, [as_it_is, as_it_is]);
        let reference = expected(arrays, shape, 1e-2);
        close(&format!("{shape:?}"), &got, &reference, [4e-6, 1e-5, 1e-5]);
    }
}

#[test]
fn equal_runs_give_equal_bits() {
    let shape = [2, 5, 33, 40, 37];
    let n = shape.iter().product();
    let (x, cotangent) = (noise(1, n), noise(400, n));
    let (weight, bias) = (noise(77, 5), noise(5, 5));
    let arrays = [&x[..], &cotangent, &weight, &bias];
    let bits = || {
        let outcome = run(arrays, shape, EPSILON, [as_it_is, as_it_is]);
        outcome.map(|v| v.into_iter().map(f32::to_bits).collect::<Vec<_>>())
    };
    assert_eq!(bits(), bits());
}

/// In `f16` and `bf16` where the device has them: the inputs are rounded, the statistics are not.
#[test]
fn half_precision_equals_the_reference_of_rounded_inputs() {
    let device = device();
    for (dtype, rounding) in [(DType::F16, 5e-4), (DType::BF16, 4e-3)] {
        if !device.supports_dtype(dtype) {
            continue;
        }
        let shape = [2, 8, 20, 9, 8];
        let n = shape.iter().product();
        let (x, cotangent) = (noise(1, n), noise(400, n));
        let (weight, bias) = (noise(77, 8), noise(5, 8));
        let round = |v: &[f32]| {
            let t = tensor(v, [v.len()], &device).cast(dtype).cast(DType::F32);
            values(t)
        };
        let [x, cotangent, weight, bias] = [&x[..], &cotangent, &weight, &bias].map(round);
        let arrays = [&x[..], &cotangent, &weight, &bias];
        let reference = expected(arrays, shape, EPSILON);
        for arrange in [as_it_is as Arrange, channels_last] {
            let device = device.clone().autodiff();
            let leaf = arrange(tensor(&x, shape, &device))
                .cast(dtype)
                .require_grad();
            let [w, b] =
                [&weight, &bias].map(|v| tensor(v, [8], &device).cast(dtype).require_grad());
            let affine = Some([w.clone(), b.clone()]);
            let activation = NormActivation::LeakyRelu { slope: SLOPE };
            let y = instance_norm_act(leaf.clone(), affine, EPSILON, activation).unwrap();
            assert_eq!(y.dtype(), dtype);
            let cotangent = arrange(tensor(&cotangent, shape, &device)).cast(dtype);
            let gradients = (y.clone() * cotangent).sum().backward();
            let got = [
                values(y.cast(DType::F32)),
                values(leaf.grad(&gradients).unwrap().cast(DType::F32)),
                values(w.grad(&gradients).unwrap().cast(DType::F32)),
                values(b.grad(&gradients).unwrap().cast(DType::F32)),
            ];
            let tolerance = [4.0 * rounding, 2.0 * rounding, 2.0 * rounding];
            close(&format!("{dtype:?}"), &got, &reference, tolerance);
        }
    }
}
