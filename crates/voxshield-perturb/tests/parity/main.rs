//! Whole optimisation steps against the reference's PyTorch code (`tests/golden/README.md`).
//!
//! `cargo test -p voxshield-perturb --test parity -- --nocapture` prints the largest differences.
#![allow(
    clippy::print_stdout,
    reason = "the largest differences go into reports"
)]

mod run;
mod steps;

use std::collections::BTreeSet;

use burn::tensor::Tensor;
use voxshield_perturb::{
    Batch, Budget, Draws, Expectation, Objective, SignDescent, SurrogateLearner, View,
};
use voxshield_testkit::{Golden, assert_close, device, max_difference};

use crate::run::{numbers, surrogate, value, values};

const EPSILON: f64 = 0.015_686_3;
const SURROGATE_RATE: f64 = 5e-4;
const NOISE_RATE: f64 = 1e-4;

macro_rules! run {
    ($module:ident, $name:literal) => {
        mod $module {
            #[test]
            fn s_steps_agree() {
                crate::steps::s_steps_agree($name);
            }

            #[test]
            fn n_steps_agree() {
                crate::steps::n_steps_agree($name);
            }

            #[test]
            fn cycles_agree() {
                crate::steps::cycles_agree($name);
            }
        }
    };
}

run!(one_channel, "e_c1_readme");
run!(four_channels, "e_c4_readme");
run!(soft_roi_without_spd, "e_c1_softroi_nolog");

#[test]
fn sign_descent_agrees() {
    let golden = Golden::open("e_min_min_n");
    let number = |key| golden.metadata(key).as_f64().expect("a number");
    let image: Tensor<5> = golden.tensor("image", &device());
    let batch = Batch {
        support: image.ones_like(),
        image,
        labels: golden.int_tensor("label", &device()),
    };
    let descent = SignDescent {
        budget: Budget::new(number("epsilon")).expect("a budget"),
        step_size: number("step_size"),
        steps: 3,
    };
    let surrogate = surrogate(1, &golden.tensors("s0."));
    let delta0 = golden.tensor("delta0", &device());
    let criterion = Objective::ErrorMinimising.criterion(3);
    let targets = [surrogate.frozen()];
    let mut draws = Draws::new(descent.budget, 0);
    let mut estimate = |protected| {
        Expectation::none().estimate(&*criterion, &targets, protected, &batch.labels, &mut draws)
    };
    let moved = descent.run(&batch, delta0, None, &mut estimate);
    let (delta, mut losses) = moved.expect("steps");
    let loss = losses.pop().map(value);

    let expected = golden.metadata("result")["noise_loss"]
        .as_f64()
        .expect("a loss");
    assert!((f64::from(loss.expect("a loss")) / expected - 1.0).abs() < 1e-5);
    let (delta, expected) = (values(delta), golden.values("delta3"));
    let off = |(a, e): &(&f32, &f32)| (*a - *e).abs() > 1e-7;
    let differing = delta.iter().zip(&expected).filter(off).count();
    println!("e_min_min_n: {differing} of {} voxels differ", delta.len());
    assert!(
        differing * 200 <= delta.len(),
        "{differing} of {}",
        delta.len()
    );
}

/// The same weights and batches as in PyTorch: what single precision leaves of 20 steps.
#[test]
fn twenty_adam_steps_agree() {
    let golden = Golden::open("n_adam20");
    let weights = Golden::open("d_unet_surrogate_c1").tensors("w.");
    let budget = Budget::new(EPSILON).expect("a budget");
    let mut learner = SurrogateLearner::new(surrogate(1, &weights), SURROGATE_RATE, budget);
    let batches = [0, 1].map(|i| {
        let image: Tensor<5> = golden.tensor(&format!("image{i}"), &device());
        Batch {
            support: image.ones_like(),
            image,
            labels: golden.int_tensor(&format!("label{i}"), &device()),
        }
    });
    let expected: Vec<f64> = serde_json::from_value(golden.metadata("losses_f64")).expect("losses");
    assert_eq!(expected.len(), 20);
    let mut worst = 0.0f64;
    for (step, expected) in expected.iter().enumerate() {
        let batch = &batches[step % 2];
        let loss = learner
            .step(batch, batch.image.zeros_like(), &View::identity())
            .expect("a step");
        let loss = value(loss);
        let off = (f64::from(loss) / expected - 1.0).abs();
        assert!(off <= 2e-6, "step {step}: {loss} for {expected}");
        worst = worst.max(off);
    }
    println!("n_adam20: losses: {worst:.1e} of 2e-6");

    let dead: BTreeSet<String> =
        serde_json::from_value(golden.metadata("zero_grad_params")).expect("names");
    let own = learner.network().weights().expect("readable");
    let finals = golden.tensors("final.");
    assert_eq!(finals.len(), own.len());
    let mut worst = 0.0f64;
    for (name, expected) in finals.iter().filter(|(name, _)| !dead.contains(*name)) {
        let (own, expected) = (numbers(&own[name]), numbers(expected));
        assert_close(name, &own, &expected, 6e-5);
        worst = worst.max(max_difference(&own, &expected).0);
    }
    println!("n_adam20: weights: {worst:.1e} of 6e-5");
}
