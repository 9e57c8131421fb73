//! One step of Adam: the formula, its composition and the kernels.

use burn::tensor::{Device, Tensor, TensorData};
use voxshield_kernels::{AdamStep, KernelError, adam_step, reference};
use voxshield_testkit::{assert_close, device};

/// Fixed noise in `[-1, 1]`, different for every seed.
fn noise(seed: u32, n: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9) | 1;
    (0..n)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state as f32 / u32::MAX as f32 * 2.0 - 1.0
        })
        .collect()
}

const SURROGATE: AdamStep = AdamStep {
    rate: 5e-4,
    beta_1: 0.9,
    beta_2: 0.9999,
    epsilon: 1e-8,
    decay: 5e-4,
    time: 1,
};

/// Sizes around the kernels' vectors and chunks.
const SIZES: [usize; 6] = [1, 3, 17, 1000, 32_768, 70_001];

fn tensor(values: &[f32], device: &Device) -> Tensor<1> {
    Tensor::from_data(TensorData::from(values), device)
}

fn values(tensor: Tensor<1>) -> Vec<f32> {
    tensor.into_data().try_to_vec().unwrap()
}

#[test]
fn twenty_steps_equal_the_reference() {
    let device = device();
    for n in SIZES {
        for decay in [0.0, 5e-4, 0.1] {
            let start = noise(7, n);
            let mut expected: Vec<[f64; 3]> =
                start.iter().map(|&w| [f64::from(w), 0.0, 0.0]).collect();
            let mut weight = tensor(&start, &device);
            let mut moments = None;
            for time in 1..=20 {
                let step = AdamStep {
                    decay,
                    time,
                    ..SURROGATE
                };
                let gradient = noise(100 + time as u32, n);
                for (state, &g) in expected.iter_mut().zip(&gradient) {
                    let [w, m, v] = *state;
                    *state = reference::adam_step(
                        [w, f64::from(g), m, v],
                        step.rate,
                        [step.beta_1, step.beta_2],
                        step.epsilon,
                        decay,
                        time as i32,
                    );
                }
                let gradient = tensor(&gradient, &device);
                let after = adam_step(weight, gradient, moments, step).unwrap();
                (weight, moments) = (after.0, Some(after.1));
            }
            let [first, second] = moments.unwrap();
            let got = [weight, first, second].map(values);
            for (part, (name, tolerance)) in [("weight", 1e-6), ("first", 1e-6), ("second", 1e-8)]
                .into_iter()
                .enumerate()
            {
                let expected: Vec<f32> = expected.iter().map(|s| s[part] as f32).collect();
                let what = format!("{n} elements, decay {decay}, {name}");
                assert_close(&what, &got[part], &expected, tolerance);
            }
        }
    }
}

#[test]
fn the_first_step_is_the_rate_down_the_sign_of_the_gradient() {
    let step = AdamStep {
        decay: 0.0,
        ..SURROGATE
    };
    let device = device();
    let gradient = noise(3, 100);
    let zeros = tensor(&[0.0; 100], &device);
    let (weight, _) = adam_step(zeros, tensor(&gradient, &device), None, step).unwrap();
    let expected = gradient.iter().map(|g| -5e-4 * g / (g.abs() + 1e-8));
    let expected: Vec<f32> = expected.collect();
    assert_close("first step", &values(weight), &expected, 1e-9);
}

#[test]
fn tensors_that_somebody_else_holds_are_left_alone() {
    let device = device();
    let kept: [Tensor<1>; 4] = [1, 2, 3, 4].map(|seed| tensor(&noise(seed, 500), &device));
    let second = kept[3].clone().abs();
    let [weight, gradient, first, _] = kept.clone();
    let moments = Some([first, second.clone()]);
    adam_step(weight, gradient, moments, SURROGATE).unwrap();
    for (seed, tensor) in (1..).zip(kept) {
        assert_eq!(values(tensor), noise(seed, 500));
    }
    let expected: Vec<f32> = noise(4, 500).into_iter().map(f32::abs).collect();
    assert_eq!(values(second), expected);
}

#[test]
fn a_transposed_weight_keeps_its_order() {
    let device = device();
    let matrix = |seed| Tensor::<2>::from_data(TensorData::new(noise(seed, 35), [5, 7]), &device);
    let step = |weight, gradient| adam_step::<2>(weight, gradient, None, SURROGATE).unwrap().0;
    let plain = step(matrix(1), matrix(2)).transpose();
    let transposed = step(matrix(1).transpose(), matrix(2).transpose());
    let [plain, transposed] =
        [plain, transposed].map(|t| t.into_data().try_to_vec::<f32>().unwrap());
    assert_eq!(plain, transposed);
}

#[cfg(feature = "flex")]
mod flex {
    use burn::backend::{Flex, flex::FlexTensor};
    use voxshield_kernels::ops::{AdamOps, adam::composition};

    use super::*;

    fn run(n: usize, kernel: bool) -> [Vec<u32>; 3] {
        let primitive = |values: Vec<f32>| FlexTensor::from_data(TensorData::from(&values[..]));
        let [weight, gradient, first] = [1, 2, 3].map(|seed| primitive(noise(seed, n)));
        let second = primitive(noise(4, n).into_iter().map(f32::abs).collect());
        let step = AdamStep {
            time: 3,
            ..SURROGATE
        };
        let (weight, first, second) = if kernel {
            Flex::adam_step(weight, gradient, first, second, step)
        } else {
            composition::adam_step::<Flex>(weight, gradient, first, second, step)
        };
        [weight, first, second].map(|tensor| {
            let values: Vec<f32> = tensor.into_data().try_to_vec().unwrap();
            values.into_iter().map(f32::to_bits).collect()
        })
    }

    #[test]
    fn kernel_has_the_bits_of_the_composition() {
        for n in SIZES {
            assert_eq!(run(n, true), run(n, false), "{n} elements");
        }
    }

    #[test]
    fn every_number_of_threads_gives_the_same_bits() {
        let bits = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
            pool.build().unwrap().install(|| run(100_003, true))
        };
        let one = bits(1);
        assert_eq!(one, bits(2));
        assert_eq!(one, bits(4));
    }
}

#[test]
fn bad_arguments_are_typed_errors() {
    let device = device();
    let zeros = |n| Tensor::<1>::zeros([n], &device);
    let short = Some([zeros(4), zeros(3)]);
    assert!(matches!(
        adam_step(zeros(4), zeros(4), short, SURROGATE),
        Err(KernelError::Shape {
            argument: "second moment",
            ..
        })
    ));
    let bad = [
        (
            "time",
            AdamStep {
                time: 0,
                ..SURROGATE
            },
        ),
        (
            "beta_2",
            AdamStep {
                beta_2: 1.0,
                ..SURROGATE
            },
        ),
        (
            "epsilon",
            AdamStep {
                epsilon: 0.0,
                ..SURROGATE
            },
        ),
        (
            "rate",
            AdamStep {
                rate: f64::NAN,
                ..SURROGATE
            },
        ),
    ];
    for (name, step) in bad {
        let Err(KernelError::Parameter { parameter, .. }) =
            adam_step(zeros(4), zeros(4), None, step)
        else {
            panic!("{name} was accepted");
        };
        assert_eq!(parameter, name);
    }
}
