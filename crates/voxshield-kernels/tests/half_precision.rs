//! Operations on `f16` and `bf16` tensors against the `f64` reference.

use burn::tensor::{DType, FloatDType, Tensor, TensorData};
use voxshield_kernels::{
    AxisMap, IscScaling, NormActivation, cast, instance_norm_act, inter_slice_divergence, map_axes,
    reference, semantic_divergence,
};
use voxshield_testkit::{assert_close, device};

/// The types that the device has, with the spacing of their values at 1.
fn halves() -> impl Iterator<Item = (FloatDType, f64)> {
    let halves = [
        (FloatDType::BF16, 2f64.powi(-7)),
        (FloatDType::F16, 2f64.powi(-10)),
    ];
    let has = |dtype: FloatDType| device().supports_dtype(DType::from(dtype));
    halves.into_iter().filter(move |(dtype, _)| has(*dtype))
}

fn values<const D: usize>(t: Tensor<D>) -> Vec<f32> {
    t.cast(FloatDType::F32)
        .into_data()
        .try_to_vec()
        .expect("f32")
}

fn noise(seed: usize, n: usize) -> Vec<f32> {
    (seed..seed + n)
        .map(|i| ((i * i * 7 + i * 13 + 5) % 1009) as f32 / 504.5 - 1.0)
        .collect()
}

/// A mean over a million voxels has a gradient of 1e-6 each, of which `f16` alone keeps a few bits.
#[test]
fn small_gradients_come_back_through_a_cast() {
    for (dtype, spacing) in halves() {
        for size in [1e-6f32, 3.3e-7, 0.7] {
            let x = Tensor::<1>::from_floats([0.5, -0.25, 1.0], &device().autodiff());
            let x = x.require_grad();
            let y = cast(cast(x.clone(), dtype) * 2.0, FloatDType::F32);
            assert_eq!(values(y.clone()), [1.0, -0.5, 2.0]);
            let loss = (y * size).sum();
            let gradient = x.grad(&loss.backward()).expect("tracked");
            assert_eq!(gradient.dtype(), DType::F32);
            let what = format!("{dtype:?} {size:e}");
            let tolerance = 2.0 * f64::from(size) * spacing;
            assert_close(&what, &values(gradient), &[2.0 * size; 3], tolerance);
        }
    }
}

/// The mean is far from 0: in 8 bits, sums of it would lose the deviations.
#[test]
fn normalisation_keeps_its_statistics_in_f32() {
    let (shape, voxels) = ([2, 3, 8, 9, 10], 720);
    let n = 2 * 3 * voxels;
    for (dtype, spacing) in halves() {
        let half = |values: Vec<f32>| Tensor::<1>::from_floats(values.as_slice(), &device());
        // What the type can hold is the reference's input.
        let x = half(noise(1, n).iter().map(|v| 3.0 + 0.5 * v).collect()).cast(dtype);
        let cotangent = half(noise(400, n)).cast(dtype);
        let (weight, bias) = (
            half(noise(77, 3)).cast(dtype),
            half(noise(5, 3)).cast(dtype),
        );
        let wide =
            |t: &Tensor<1>| -> Vec<f64> { values(t.clone()).into_iter().map(f64::from).collect() };
        let narrow = |v: &[f64]| -> Vec<f32> { v.iter().map(|&v| v as f32).collect() };
        let [rx, rw, rb, rc] = [&x, &weight, &bias, &cotangent].map(wide);
        let y = reference::instance_norm_act(&rx, [&rw, &rb], voxels, 1e-5, 0.01);
        let gradients =
            reference::instance_norm_act_gradient(&rx, [&rw, &rb], &rc, voxels, 1e-5, 0.01);

        let [x, weight, bias] = [x, weight, bias].map(|t| t.autodiff().require_grad());
        let activation = NormActivation::LeakyRelu { slope: 0.01 };
        let out = instance_norm_act(
            x.clone().reshape(shape),
            Some([weight.clone(), bias.clone()]),
            1e-5,
            activation,
        );
        let out = out.expect("fits");
        assert_eq!(out.dtype(), DType::from(dtype));
        assert_close("y", &values(out.clone()), &narrow(&y), 2.0 * spacing);
        let graph = (out * cotangent.reshape(shape)).sum().backward();
        for ((name, leaf), expected) in [("x", x), ("weight", weight), ("bias", bias)]
            .into_iter()
            .zip(&gradients)
        {
            let gradient = values(leaf.grad(&graph).expect("tracked"));
            let largest = expected.iter().fold(0f64, |a, v| a.max(v.abs()));
            let tolerance = 2.0 * spacing * largest;
            assert_close(name, &gradient, &narrow(expected), tolerance);
        }
    }
}

/// 4096 differences of 1/256 add up to 16, where `bf16` counts in steps of 1/8.
#[test]
fn losses_are_f32() {
    for (dtype, _) in halves() {
        let noisy = Tensor::<5>::ones([1, 1, 16, 16, 16], &device()).cast(dtype) * 0.00390625;
        let clean = noisy.zeros_like();
        let value = semantic_divergence(noisy, clean).expect("fits");
        assert_eq!(value.dtype(), DType::F32);
        assert_close("spd", &values(value), &[0.00390625], 1e-9);
    }
}

/// Of values that a half holds, all is as it is for `f32`, but that the gradient is rounded on its way.
#[test]
fn divergences_of_slices_are_f32() {
    let support = Tensor::<5>::ones([1, 1, 4, 5, 6], &device().autodiff());
    for (half, spacing) in halves() {
        let held = Tensor::<1>::from_floats(noise(3, 240).as_slice(), &device());
        let held = held.cast(half).cast(FloatDType::F32);
        for scaling in [
            IscScaling::Reference,
            IscScaling::Normalised { epsilon: 1.0 },
            IscScaling::Phase { epsilon: 1.0 },
        ] {
            let of = |dtype: FloatDType| {
                let leaf = held.clone().autodiff().require_grad();
                let delta = cast(leaf.clone(), dtype).reshape([1, 2, 4, 5, 6]);
                let support = support.clone().cast(dtype);
                let value = inter_slice_divergence(delta, &support, scaling).expect("fits");
                assert_eq!(value.dtype(), DType::F32);
                let gradient = leaf.grad(&value.backward()).expect("tracked");
                (values(value), values(gradient))
            };
            let (value, gradient) = of(half);
            let (expected, exact) = of(FloatDType::F32);
            assert_eq!(value, expected, "{half:?} {scaling:?}");
            let largest = f64::from(exact.iter().fold(0f32, |a, v| a.max(v.abs())));
            let what = format!("{half:?} {scaling:?}");
            assert_close(&what, &gradient, &exact, spacing * largest);
        }
    }
}

#[test]
fn maps_of_axes_keep_the_type() {
    let pairs = AxisMap::from_rows(4, 2, |i, add| {
        add(2 * i as i64, 0.5);
        add(2 * i as i64 + 1, 0.5);
    });
    for (dtype, _) in halves() {
        let x = Tensor::<1>::from_floats([1.0, 2.0, 3.0, 5.0], &device()).cast(dtype);
        let maps = [Some(pairs.clone()), None, None];
        let y = map_axes(x.reshape([1, 1, 4, 1, 1]), &maps).expect("fits");
        assert_eq!(y.dtype(), DType::from(dtype));
        assert_eq!(values(y), [1.5, 4.0]);
    }
}

#[test]
fn a_cast_to_the_own_type_changes_nothing() {
    let data = TensorData::new(vec![1.0f32, 1e-9, 3.0e8], [3]);
    let x = Tensor::<1>::from_data(data.clone(), &device());
    assert_eq!(cast(x, FloatDType::F32).into_data(), data);
}
