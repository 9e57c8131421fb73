//! Whole optimisation steps against the reference's PyTorch code (`tests/golden/README.md`).
//!
//! `cargo test -p voxshield-perturb --test parity -- --nocapture` prints the largest differences.
#![allow(
    clippy::print_stdout,
    reason = "the largest differences go into reports"
)]

use std::collections::BTreeSet;

use burn::module::Module;
use burn::tensor::Tensor;
use serde_json::Value;
use voxshield_kernels::{DiceCe, IscScaling};
use voxshield_models::{
    Activation, Network, NoiseGenerator, NoiseGeneratorConfig, ResidualUnetConfig, TensorMap,
    gradients, load_parameters, parameters,
};
use voxshield_perturb::{
    Batch, Budget, DiceCeTerm, Draws, Expectation, IscTerm, NoiseLearner, Objective, SignDescent,
    SpdTerm, SurrogateLearner, Term, View,
};
use voxshield_testkit::{Golden, assert_close, device, max_abs, max_difference};

const EPSILON: f64 = 0.015_686_3;
const SURROGATE_RATE: f64 = 5e-4;
const NOISE_RATE: f64 = 1e-4;

/// One of the reference's runs: `<name>_s`, `<name>_n` and `<name>_cycle`.
struct Run {
    name: &'static str,
    s: Golden,
    n: Golden,
    cycle: Golden,
    isc_weight: f64,
    spd_weight: Option<f64>,
}

impl Run {
    fn open(name: &'static str) -> Self {
        let s = Golden::open(&format!("{name}_s"));
        let config = s.metadata("config");
        let params = &config["ue"]["algorithm"]["params"];
        let with_spd = params["logits_div_enabled"] == Value::Bool(true);
        assert_eq!(params["epsilon"].as_f64(), Some(EPSILON));
        Self {
            name,
            n: Golden::open(&format!("{name}_n")),
            cycle: Golden::open(&format!("{name}_cycle")),
            isc_weight: params["z_diversity_weight"].as_f64().expect("a weight"),
            spd_weight: params["logits_div_weight"].as_f64().filter(|_| with_spd),
            s,
        }
    }

    fn budget() -> Budget {
        Budget::new(EPSILON).expect("a budget")
    }

    /// The support is the reference's ROI mask of the N-step; the S-step does not use it.
    fn batch(&self) -> Batch {
        let mask: Tensor<5> = self.n.tensor("roi_mask", &device());
        Batch {
            image: self.s.tensor("image", &device()),
            labels: self.s.int_tensor("label", &device()),
            support: mask.narrow(1, 0, 1),
        }
    }

    fn delta0(&self) -> Tensor<5> {
        self.s.tensor("delta0", &device())
    }

    fn surrogate(&self) -> SurrogateLearner {
        let network = surrogate(self.channels(), &self.s.tensors("s0."));
        SurrogateLearner::new(network, SURROGATE_RATE, Self::budget())
    }

    fn noise(&self) -> NoiseLearner {
        let channels = self.channels();
        let config = NoiseGeneratorConfig {
            unet: ResidualUnetConfig {
                res_units: 1,
                activation: Activation::LeakyRelu(0.01),
                ..unet(channels, channels)
            },
            epsilon: EPSILON,
            band_limit: None,
        };
        let generator = config.init(0, &device().autodiff()).expect("valid");
        let generator = load_parameters(generator, &self.n.tensors("n0.")).expect("its weights");
        let mut terms: Vec<Box<dyn Term>> = vec![
            Box::new(DiceCeTerm(DiceCe::default())),
            Box::new(IscTerm {
                weight: self.isc_weight,
                scaling: IscScaling::Reference,
                lags: 1,
            }),
        ];
        if let Some(weight) = self.spd_weight {
            terms.push(Box::new(SpdTerm { weight }));
        }
        NoiseLearner::new(generator, NOISE_RATE, Self::budget(), terms)
    }

    fn channels(&self) -> usize {
        self.s.shape("image")[1]
    }

    fn dead(&self, key: &str) -> BTreeSet<String> {
        serde_json::from_value(self.s.metadata(key)).expect("names")
    }

    fn close(&self, what: &str, actual: &[f32], expected: &[f32], tolerance: f64) {
        let (difference, _) = max_difference(actual, expected);
        println!("{}: {what}: {difference:.1e} of {tolerance:.1e}", self.name);
        assert_close(
            &format!("{}: {what}", self.name),
            actual,
            expected,
            tolerance,
        );
    }

    fn loss(&self, what: &str, actual: f32, expected: &Value, relative: f64) {
        let expected = expected.as_f64().expect("a loss") as f32;
        let tolerance = relative * f64::from(expected.abs());
        self.close(what, &[actual], &[expected], tolerance);
    }

    /// The weights that matter agree; `dead` biases have no gradient but rounding noise, in a
    /// direction that Adam follows all the same. The number of weights that went another way.
    fn weights(
        &self,
        golden: &Golden,
        prefix: &str,
        own: &TensorMap,
        dead: &BTreeSet<String>,
    ) -> usize {
        let expected = golden.tensors(prefix);
        assert_eq!(expected.len(), own.len(), "{}: {prefix}", self.name);
        let (mut worst, mut beyond, mut count) = (0.0f64, 0, 0);
        for (name, expected) in &expected {
            if dead.contains(name) {
                continue;
            }
            let expected = expected.try_to_vec::<f32>().expect("float32");
            for (e, a) in expected.iter().zip(numbers(&own[name])) {
                let off = f64::from((e - a).abs());
                // A first step is the sign of the gradient: where that is rounding noise, a
                // weight may go the other way.
                assert!(off <= 2.0 * 3.0 * SURROGATE_RATE, "{prefix}{name}: {off:e}");
                worst = worst.max(off);
                beyond += usize::from(off > 5e-5);
                count += 1;
            }
        }
        println!(
            "{}: {prefix}*: {worst:.1e} of 5e-5, {beyond} of {count} beyond",
            self.name
        );
        assert!(beyond * 1000 <= count, "{}: {prefix}: {beyond}", self.name);
        beyond
    }
}

fn unet(in_channels: usize, out_channels: usize) -> ResidualUnetConfig {
    ResidualUnetConfig {
        in_channels,
        out_channels,
        channels: vec![4, 8, 16],
        strides: vec![2, 2],
        res_units: 2,
        activation: Activation::Relu,
    }
}

fn surrogate(channels: usize, weights: &TensorMap) -> Box<dyn Network> {
    let network = unet(channels, 3).init(0, &device().autodiff());
    let network: Box<dyn Network> = Box::new(network.expect("valid"));
    network.with_weights(weights).expect("its weights")
}

fn numbers(data: &burn::tensor::TensorData) -> Vec<f32> {
    data.try_to_vec().expect("float32")
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_into_vec().expect("float32")
}

fn value(loss: Tensor<1>) -> f32 {
    loss.into_scalar::<f32>()
}

fn host(generator: &NoiseGenerator) -> TensorMap {
    parameters(&generator.valid()).expect("readable")
}

/// The surrogate after 1 and after 3 S-steps on the noise table's content.
fn s_steps_agree(name: &'static str) {
    let run = Run::open(name);
    let (batch, mut learner) = (run.batch(), run.surrogate());
    let dead = run.dead("zero_grad_surrogate");

    let loss = learner
        .loss(&batch, run.delta0(), &View::identity())
        .expect("a loss");
    let found = learner.network().gradients(&loss.backward());
    let found = found.expect("readable");
    assert_eq!(found.len(), run.s.tensors("s_grad1.").len());
    for (name, gradient) in &found {
        let expected = run.s.values(&format!("s_grad1.{name}"));
        if !dead.contains(name) {
            let tolerance = 1e-4 * max_abs(&expected);
            assert_close(name, &numbers(gradient), &expected, tolerance);
        }
    }

    let losses = run.s.metadata("surrogate_loss");
    for step in 0..3 {
        let loss = learner
            .step(&batch, run.delta0(), &View::identity())
            .expect("a step");
        run.loss(&format!("S-step {step}"), value(loss), &losses[step], 1e-5);
        if step != 1 {
            let own = learner.network().weights().expect("readable");
            run.weights(&run.s, &format!("s{}.", step + 1), &own, &dead);
        }
    }
}

/// The noise generator and delta after 1 and after 3 N-steps through the first surrogate.
fn n_steps_agree(name: &'static str) {
    let run = Run::open(name);
    let (batch, mut learner) = (run.batch(), run.noise());
    let surrogate = surrogate(run.channels(), &run.s.tensors("s0."));

    let raw = learner.generator().valid().forward(batch.image.clone());
    run.close(
        "delta_raw",
        &values(raw),
        &run.n.values("n1step.delta_raw"),
        5e-7,
    );
    let delta = learner.delta(&batch);
    run.close(
        "delta",
        &values(delta.clone()),
        &run.n.values("n1step.delta"),
        5e-7,
    );
    let clean = surrogate.valid().forward(batch.image.clone());
    run.close(
        "logits_clean",
        &values(clean),
        &run.n.values("n1step.logits_clean"),
        3e-5,
    );
    let noisy = Run::budget().protect(batch.image.clone(), delta);
    let noisy = surrogate.valid().forward(noisy);
    run.close(
        "logits_noisy",
        &values(noisy),
        &run.n.values("n1step.logits_noisy"),
        3e-5,
    );

    let loss = learner
        .loss(&batch, &*surrogate, &View::identity())
        .expect("a loss");
    let backward = loss.total.expect("terms").backward();
    let found = gradients(learner.generator(), &backward).expect("readable");
    let expected = run.n.tensors("n_grad1.");
    assert_eq!(found.len(), expected.len());
    let all = expected.values().map(|data| max_abs(&numbers(data)));
    let all = all.fold(0.0, f64::max);
    for (name, gradient) in &found {
        let expected = numbers(&expected[name]);
        // The second part is for biases before a normalisation: their gradient is 0, and both sides show rounding.
        let tolerance = 2e-4 * max_abs(&expected) + 2e-6 * all;
        assert_close(name, &numbers(gradient), &expected, tolerance);
    }

    let first = run.n.metadata("n_step_terms_before_first_update");
    let steps = run.n.metadata("n_steps");
    for step in 0..3 {
        let loss = learner
            .step(&batch, &*surrogate, &View::identity())
            .expect("a step");
        let total = value(loss.total.expect("terms"));
        run.loss(
            &format!("N-step {step}"),
            total,
            &steps[step]["noise_loss"],
            1e-5,
        );
        if step == 0 {
            let named = [("seg", 1.0), ("z_diversity", -1.0), ("l1", -1.0)];
            for (term, (name, sign)) in loss.terms.into_iter().zip(named) {
                run.loss(name, sign * value(term), &first[name], 1e-5);
            }
        }
        if step != 1 {
            let delta = values(learner.delta(&batch));
            let key = format!("delta{}", step + 1);
            run.close(&key, &delta, &run.n.values(&key), 1e-6);
            let prefix = format!("n{}.", step + 1);
            let own = host(learner.generator());
            for (name, expected) in run.n.tensors(&prefix) {
                assert_close(&name, &numbers(&own[&name]), &numbers(&expected), 1e-5);
            }
        }
    }
}

/// Three rounds of one S-step on the table's delta and one N-step that renews it.
fn cycles_agree(name: &'static str) {
    let run = Run::open(name);
    let batch = run.batch();
    let (mut surrogate, mut noise) = (run.surrogate(), run.noise());
    let mut delta = run.delta0();
    let rounds = run.cycle.metadata("cycle");
    for round in 0..3 {
        let loss = surrogate
            .step(&batch, delta, &View::identity())
            .expect("an S-step");
        run.loss("S", value(loss), &rounds[round]["surrogate_loss"], 2e-5);
        let loss = noise
            .step(&batch, surrogate.network(), &View::identity())
            .expect("an N-step");
        let total = value(loss.total.expect("terms"));
        run.loss("N", total, &rounds[round]["noise_loss"], 2e-5);
        delta = noise.delta(&batch);
    }
    let own = surrogate.network().weights().expect("readable");
    run.weights(
        &run.cycle,
        "cyc_s3.",
        &own,
        &run.dead("zero_grad_surrogate"),
    );
    let own = host(noise.generator());
    let flipped = run.weights(&run.cycle, "cyc_n3.", &own, &run.dead("zero_grad_noise"));
    // A weight whose gradient is rounding noise moves by up to two steps of 1e-4, and delta with it.
    let tolerance = if flipped == 0 { 2e-6 } else { 2e-5 };
    let expected = run.cycle.values("cyc_delta3");
    run.close("cyc_delta3", &values(delta), &expected, tolerance);
}

macro_rules! run {
    ($module:ident, $name:literal) => {
        mod $module {
            #[test]
            fn s_steps_agree() {
                super::s_steps_agree($name);
            }

            #[test]
            fn n_steps_agree() {
                super::n_steps_agree($name);
            }

            #[test]
            fn cycles_agree() {
                super::cycles_agree($name);
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
