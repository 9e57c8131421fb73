//! Runs that end in the middle.

use std::panic::{AssertUnwindSafe, catch_unwind};

use voxshield::{
    perturb::{Event, PgdConfig, Scale, SurrogateConfig},
    pipeline::{Method, ProtectEvent, ProtectOptions, protect},
};

use super::hashes;
use crate::support::phantoms;

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
