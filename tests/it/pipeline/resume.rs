//! Runs that end in the middle.

use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
};

use voxshield::{
    data::{Recipients, generate_identity},
    perturb::{ClosedForm, Event, PgdConfig, Scale, SurrogateConfig},
    pipeline::{Method, PipelineError, ProtectEvent, ProtectOptions, protect, verify},
};

use super::hashes;
use crate::support::{coded, learned, phantoms, random, run};

/// The kills of the command line's tests show that the bytes are the same; this that the rounds are not made again.
#[test]
fn a_descent_goes_on_from_the_round_that_it_was_in() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    phantoms(&path("clean"), 2, 5);
    let mut config = PgdConfig::new("emn", Scale::Compact).unwrap();
    config.recipe.steps = 1;
    config.common = SurrogateConfig {
        epsilon: 0.05,
        rounds: 4,
        surrogate_steps: 1,
        batch: 2,
        patch: [8; 3],
        ..config.common
    };
    let options = ProtectOptions {
        method: Method::SampleWise(config),
        ..ProtectOptions::default()
    };
    let run = |out: &str, resume: bool, end: Option<usize>| {
        let options = ProtectOptions {
            resume,
            ..options.clone()
        };
        let mut rounds = Vec::new();
        let result = catch_unwind(AssertUnwindSafe(|| {
            protect(&path("clean"), &path(out), &options, &mut |event| {
                if let ProtectEvent::Train(Event::RoundStarted { round, .. }) = event {
                    assert!(end != Some(*round), "the end");
                    rounds.push(*round);
                }
            })
        }));
        assert_eq!(result.is_err(), end.is_some());
        rounds
    };
    assert_eq!(run("whole", false, None), [0, 1, 2, 3]);
    // The first state of a process is always stored, however little was done.
    assert_eq!(run("out", false, Some(1)), [0]);
    assert!(path("out").join(".voxshield/deltas").exists());
    assert_eq!(run("out", true, Some(2)), [1]);
    assert_eq!(run("out", true, None), [2, 3]);
    assert_eq!(hashes(&path("whole")), hashes(&path("out")));
    assert!(!path("out").join(".voxshield").exists());
}

/// What a command is refused for: that the output holds another run.
#[track_caller]
fn other_run(clean: &Path, out: &Path, options: &ProtectOptions) -> String {
    match run(clean, out, options) {
        Err(PipelineError::OtherRun { what, .. }) => what,
        found => panic!("{found:?}"),
    }
}

#[test]
fn a_complete_output_is_compared_with_the_run_that_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    phantoms(&path("clean"), 2, 5);
    phantoms(&path("more"), 3, 5);
    phantoms(&path("other"), 2, 6);
    let options = ProtectOptions {
        resume: true,
        ..coded("checkerboard")
    };
    let (clean, out) = (path("clean"), path("out"));
    let first = run(&clean, &out, &options).unwrap();
    let before = hashes(&out);
    let mut resumed = None;
    let again = protect(&clean, &out, &options, &mut |event| match event {
        ProtectEvent::Resumed { done, total } => resumed = Some((done, total)),
        ProtectEvent::CaseStarted { .. } => panic!("nothing is to be done"),
        _ => {}
    });
    assert_eq!((again.unwrap(), resumed), (first, Some((2, 2))));

    let other = other_run(&path("other"), &out, &options);
    assert!(other.contains("files of case case_000"), "{other}");
    let more = other_run(&path("more"), &out, &options);
    assert!(more.contains("case_002"), "{more}");
    let mut recipients = Recipients::default();
    let recipient = generate_identity(&path("key")).unwrap();
    recipients.add(&recipient).unwrap();
    let unlock = ProtectOptions {
        unlock_to: recipients,
        ..options.clone()
    };
    assert!(other_run(&clean, &out, &unlock).contains("--unlock-to"));
    let with = |method: Method| ProtectOptions {
        method,
        ..options.clone()
    };
    let weaker = other_run(
        &clean,
        &out,
        &with(Method::ClosedForm {
            code: ClosedForm::find("checkerboard").unwrap(),
            epsilon: 0.05,
            seed: 2,
        }),
    );
    assert_eq!(weaker, "epsilon (0.1 there, 0.05 here)");
    // Of another method not every setting.
    for (method, name) in [
        (learned().method, "voxshield"),
        (random(0.05).method, "random"),
    ] {
        let what = other_run(&clean, &out, &with(method));
        assert_eq!(what, format!("method (checkerboard there, {name} here)"));
    }
    assert_eq!(hashes(&out), before);
    fs::write(out.join("labelsTr/case_001.nii.gz"), "cut").unwrap();
    assert!(other_run(&clean, &out, &options).contains("files of case case_001"));
}

#[test]
fn a_refused_command_leaves_the_run_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let (clean, out) = (folder.path().join("clean"), folder.path().join("out"));
    phantoms(&clean, 3, 5);
    let with = |epsilon: f64, shard: Option<&str>| ProtectOptions {
        resume: true,
        shard: shard.map(|shard| shard.parse().unwrap()),
        ..random(epsilon)
    };
    run(&clean, &out, &with(0.05, Some("1/2"))).unwrap();
    for shard in [None, Some("2/2")] {
        let what = other_run(&clean, &out, &with(0.06, shard));
        assert_eq!(what, "epsilon (0.05 there, 0.06 here)");
    }
    let mut told = None;
    let early = verify(&clean, &out, &mut |_| {}).unwrap_err().to_string();
    assert!(early.contains("--resume"), "{early}");
    protect(&clean, &out, &with(0.05, Some("2/2")), &mut |event| {
        if let ProtectEvent::Resumed { done, .. } = event {
            told = Some(done);
        }
    })
    .unwrap();
    assert_eq!(
        told, None,
        "cases of another shard are not those of this one"
    );
    run(&clean, &out, &with(0.05, None)).unwrap();
    let swapped = verify(&out, &clean, &mut |_| {}).unwrap_err().to_string();
    assert!(swapped.contains("comes first"), "{swapped}");
    assert!(verify(&clean, &out, &mut |_| {}).unwrap().is_kept());
}

#[test]
fn a_setting_that_cannot_be_used_leaves_no_run_behind() {
    let folder = tempfile::tempdir().unwrap();
    let (clean, out) = (folder.path().join("clean"), folder.path().join("out"));
    phantoms(&clean, 2, 5);
    let mut options = learned();
    options.method.common_mut().unwrap().patch = [10; 3];
    let error = run(&clean, &out, &options).unwrap_err().to_string();
    assert!(
        error.contains("patch size") && error.contains("[4, 4, 4]"),
        "{error}"
    );
    assert!(!out.exists());
    run(&clean, &out, &learned()).unwrap();
}
