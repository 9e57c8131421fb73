//! S- and N-steps with activations in half precision, and with gradient checkpointing.

#![allow(
    clippy::print_stdout,
    reason = "the differences go into the documentation"
)]

use burn::tensor::{Device, Int, Tensor, TensorData};
use voxshield_kernels::IscScaling;
use voxshield_models::{Network, NoiseGeneratorConfig, Precision, ResidualUnetConfig};
use voxshield_perturb::{
    Batch, Bilevel, BilevelConfig, Budget, Draws, Expectation, NoiseLearner, Objective,
    PerturbError, SignDescent, SurrogateConfig, SurrogateLearner, View, voxshield_terms,
};
use voxshield_testkit::device;

const EPSILON: f64 = 4.0 / 255.0;

/// Two volumes of noise with a box of class 1.
fn batch() -> Batch {
    let n = 16usize;
    let voxels = 2 * n * n * n;
    let noise = |i: usize| (i as u32).wrapping_mul(0x9E37_79B9) as f32 / u32::MAX as f32;
    let inside = |i: usize| {
        [i / (n * n) % n, i / n % n, i % n]
            .iter()
            .all(|v| (4..12).contains(v))
    };
    let labels: Vec<i32> = (0..voxels).map(|i| i32::from(inside(i))).collect();
    let support: Vec<f32> = labels.iter().map(|&l| l as f32).collect();
    let image: Vec<f32> = (0..voxels).map(noise).collect();
    let volume = |values| Tensor::from_data(TensorData::new(values, [2, 1, n, n, n]), &device());
    Batch {
        image: volume(image),
        labels: Tensor::<4, Int>::from_data(TensorData::new(labels, [2, n, n, n]), &device()),
        support: volume(support),
    }
}

/// The losses of three alternating S- and N-steps.
fn losses(precision: Precision, tracked: &Device) -> Vec<f32> {
    let budget = Budget::new(EPSILON).expect("a budget");
    let surrogate = ResidualUnetConfig::narrow(1, 2)
        .init(0, tracked)
        .expect("valid");
    let generator = NoiseGeneratorConfig {
        unet: ResidualUnetConfig::narrow(1, 1),
        epsilon: EPSILON,
        band_limit: None,
    };
    let generator = generator
        .init(1, tracked)
        .expect("valid")
        .with_precision(precision);
    let surrogate = precision.apply(Box::new(surrogate));
    let mut surrogate = SurrogateLearner::new(surrogate, 3e-3, budget);
    let terms = voxshield_terms(0.2, IscScaling::Normalised { epsilon: EPSILON }, 1, 0.05);
    let mut noise = NoiseLearner::new(generator, 1e-3, budget, terms);
    let batch = batch();
    let mut losses = Vec::new();
    for _ in 0..3 {
        let delta = noise.delta(&batch);
        losses.push(
            surrogate
                .step(&batch, delta, &View::identity())
                .expect("an S-step"),
        );
        let loss = noise
            .step(&batch, surrogate.network(), &View::identity())
            .expect("an N-step");
        losses.extend(loss.terms);
    }
    let host = losses.into_iter().map(|loss| loss.into_scalar::<f32>());
    host.collect()
}

#[test]
fn steps_in_half_precision_follow_steps_in_f32() {
    let exact = losses(Precision::F32, &device().autodiff());
    for (precision, tolerance) in [(Precision::Bf16, 0.02), (Precision::F16, 0.005)] {
        if precision.check(&device()).is_err() {
            continue;
        }
        let half = losses(precision, &device().autodiff());
        println!("f32 {exact:?}\n{precision} {half:?}");
        assert_ne!(exact, half);
        for (index, (a, b)) in exact.iter().zip(&half).enumerate() {
            assert!(
                (a - b).abs() < tolerance,
                "loss {index}: f32 {a}, {precision} {b}"
            );
        }
    }
}

#[test]
fn checkpointing_changes_no_step() {
    let plain = losses(Precision::F32, &device().autodiff());
    let again = losses(
        Precision::F32,
        &device().autodiff().gradient_checkpointing(),
    );
    assert_eq!(plain, again);
}

#[test]
fn sign_descent_takes_a_checkpointed_surrogate() {
    let run = |tracked: Device| {
        let surrogate = ResidualUnetConfig::narrow(1, 2)
            .init(0, &tracked)
            .expect("valid");
        let descent = SignDescent {
            budget: Budget::new(EPSILON).expect("a budget"),
            step_size: EPSILON / 8.0,
            steps: 2,
        };
        let batch = batch();
        let delta = batch.image.zeros_like();
        let criterion = Objective::ErrorMinimising.criterion(2);
        let targets: [Box<dyn Network>; 1] = [surrogate.frozen()];
        let mut draws = Draws::new(descent.budget, 0);
        let mut estimate = |protected| {
            Expectation::none().estimate(
                &*criterion,
                &targets,
                protected,
                &batch.labels,
                &mut draws,
            )
        };
        let moved = descent.run(&batch, delta, None, &mut estimate);
        let (delta, values) = moved.expect("a descent");
        let values: Vec<f32> = values.into_iter().map(Tensor::into_scalar).collect();
        (delta.into_data(), values)
    };
    let plain = run(device().autodiff());
    assert_eq!(plain, run(device().autodiff().gradient_checkpointing()));
}

#[test]
fn the_loop_refuses_a_precision_that_the_device_lacks() {
    let config = BilevelConfig {
        common: SurrogateConfig {
            precision: Precision::Bf16,
            checkpointing: true,
            ..SurrogateConfig::compact()
        },
        ..BilevelConfig::compact()
    };
    match Bilevel::new(config, 1, 2, &device()) {
        Ok(_) => assert_eq!(Precision::Bf16.check(&device()), Ok(())),
        Err(PerturbError::Model(error)) => {
            assert_eq!(Precision::Bf16.check(&device()), Err(error));
        }
        Err(other) => panic!("{other}"),
    }
}
