use burn::module::Module;
use voxshield_models::gradients;
use voxshield_perturb::View;
use voxshield_testkit::{assert_close, max_abs};

use crate::run::{Run, host, numbers, surrogate, value, values};

/// The surrogate after 1 and after 3 S-steps on the noise table's content.
pub(crate) fn s_steps_agree(name: &'static str) {
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
pub(crate) fn n_steps_agree(name: &'static str) {
    let run = Run::open(name);
    let (batch, mut learner) = (run.batch(), run.noise());
    let surrogate = surrogate(run.channels(), &run.s.tensors("s0."));

    let raw = learner
        .generator()
        .valid()
        .forward(batch.image.clone(), batch.foreground());
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
pub(crate) fn cycles_agree(name: &'static str) {
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
