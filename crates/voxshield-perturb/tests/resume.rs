//! A run that stops after any round and goes on from its stored state ends where an undisturbed run ends.

use std::{cell::RefCell, rc::Rc};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use voxshield_models::parameters;
use voxshield_perturb::{
    Bilevel, BilevelConfig, DeltaStore, Event, GeneratorKind, InMemory, MemoryDeltas, PerturbError,
    Pgd, PgdConfig, RoundRecord, Scale, Schedule, SourceError, SurrogateConfig, TrainingState,
    TrainingVolume, Window,
};
use voxshield_testkit::device;

const ROUNDS: usize = 4;

fn config() -> BilevelConfig {
    BilevelConfig {
        common: SurrogateConfig {
            rounds: ROUNDS,
            surrogate_steps: 2,
            batch: 2,
            patch: [8; 3],
            ..SurrogateConfig::compact()
        },
        ..BilevelConfig::compact()
    }
}

fn volumes() -> InMemory {
    volumes_with(|_| 1.0)
}

/// Three cases, each with a support of its own.
fn volumes_with(support: fn(usize) -> f32) -> InMemory {
    let shape = [9, 11, 10];
    let voxels: usize = shape.iter().product();
    let volume = |case: usize| TrainingVolume {
        image: (0..voxels)
            .map(|i| ((i * 7 + case * 13) % 101) as f32 / 101.0)
            .collect(),
        labels: (0..voxels).map(|i| ((i / 50) % 2) as i32).collect(),
        support: vec![support(case); voxels],
        channels: 1,
        shape,
    };
    InMemory::new((0..3).map(volume).collect()).unwrap()
}

fn bilevel(config: BilevelConfig) -> Bilevel {
    Bilevel::new(config, 1, 2, &device()).unwrap()
}

/// What a run leaves behind, bit for bit.
fn outcome(run: Bilevel) -> (Vec<(String, Vec<u8>)>, Vec<RoundRecord>) {
    let trained = run.run(&mut volumes(), &mut |_| {}).unwrap();
    let generator = parameters(&trained.generator).unwrap();
    let surrogate = trained.surrogate.weights().unwrap();
    let tensors = generator.into_iter().chain(surrogate);
    let bits = tensors.map(|(name, data)| (name, data.into_bytes().to_vec()));
    (bits.collect(), trained.history)
}

/// The states after each round, as bytes.
fn states(config: BilevelConfig) -> Vec<Vec<u8>> {
    let mut states = Vec::new();
    let mut save = |state: &dyn Fn() -> Result<TrainingState, PerturbError>| {
        states.push(state()?.to_bytes()?);
        Ok(())
    };
    bilevel(config)
        .run_with(&mut volumes(), Some(&mut save), &mut |_| {})
        .unwrap();
    states
}

#[test]
fn every_round_is_a_place_to_go_on_from() {
    let configs = [
        config(),
        BilevelConfig {
            other_surrogates: vec!["residual-unet".to_owned()],
            ..config()
        },
        BilevelConfig {
            generator: GeneratorKind::Umed3d,
            ..config()
        },
    ];
    for config in configs {
        let whole = outcome(bilevel(config.clone()));
        let states = states(config.clone());
        assert_eq!(states.len(), ROUNDS);
        for (round, bytes) in states.iter().enumerate() {
            let state = TrainingState::from_bytes(bytes).unwrap();
            assert_eq!((state.round, state.history.len()), (round + 1, round + 1));
            let resumed = bilevel(config.clone()).resumed(&state).unwrap();
            assert!(outcome(resumed) == whole, "after round {round}");
        }
    }
}

#[test]
fn states_of_other_runs_and_damaged_ones_are_errors() {
    let bytes = states(config()).swap_remove(1);
    let state = TrainingState::from_bytes(&bytes).unwrap();
    let shorter = BilevelConfig {
        common: SurrogateConfig {
            rounds: 1,
            ..config().common
        },
        ..config()
    };
    assert!(matches!(
        bilevel(shorter).resumed(&state),
        Err(PerturbError::State { .. })
    ));
    let other = BilevelConfig {
        common: SurrogateConfig {
            surrogate: "seg-res-net".into(),
            ..config().common
        },
        ..config()
    };
    assert!(bilevel(other).resumed(&state).is_err());
    for cut in [0, 1, 40, bytes.len() / 2, bytes.len() - 1] {
        assert!(matches!(
            TrainingState::from_bytes(&bytes[..cut]),
            Err(PerturbError::State { .. })
        ));
    }
    // A file that claims other rounds than it has records of.
    let mut lying = state;
    lying.round = 3;
    assert!(bilevel(config()).resumed(&lying).is_err());
}

/// What an attacker puts in its place is an error or a state, never a panic.
#[test]
fn no_bytes_are_a_panic() {
    let config = BilevelConfig {
        common: SurrogateConfig {
            surrogate_steps: 1,
            rounds: 1,
            ..config().common
        },
        ..config()
    };
    let bytes = states(config.clone()).swap_remove(0);
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    let mut read = 0;
    for _ in 0..2000 {
        let mut changed = bytes.clone();
        for _ in 0..1 << rng.random_range(0..5) {
            // Half of the changes where names, shapes and offsets are.
            let end = if rng.random() { 4096 } else { changed.len() };
            let at = rng.random_range(0..end.min(changed.len()).max(1));
            match (rng.random_range(0..4), changed.get_mut(at)) {
                (0, Some(byte)) => *byte ^= 1 << rng.random_range(0..8),
                (1, Some(byte)) => *byte = rng.random(),
                (2, _) => changed.truncate(at),
                _ => drop(changed.splice(at..at, [0xFF; 3])),
            }
        }
        if let Ok(state) = TrainingState::from_bytes(&changed) {
            read += 1;
            if read < 50 {
                let _ = bilevel(config.clone()).resumed(&state);
            }
        }
    }
    assert!(read > 0, "some changes are in the numbers only");
}

#[test]
fn a_surrogate_that_draws_is_not_resumable() {
    let with = |surrogate: &str, networks| {
        bilevel(BilevelConfig {
            common: SurrogateConfig {
                surrogate: surrogate.into(),
                networks,
                patch: [32; 3],
                ..config().common
            },
            ..config()
        })
        .is_resumable()
    };
    use voxshield_models::Width;
    assert!(with("v-net", Width::Narrow), "it has no dropout");
    assert!(with("residual-unet", Width::Narrow));
    assert!(!with("v-net", Width::Full));
    assert!(!with("con-res-net", Width::Narrow), "it has dropout");
}

/// Keeps every snapshot.
struct Snapshots {
    now: MemoryDeltas,
    kept: Rc<RefCell<Vec<MemoryDeltas>>>,
}

impl Snapshots {
    fn of(now: MemoryDeltas) -> Self {
        let kept = Rc::default();
        Self { now, kept }
    }
}

impl DeltaStore for Snapshots {
    fn read(&self, case: usize, window: Window) -> Result<Vec<i8>, SourceError> {
        self.now.read(case, window)
    }

    fn write(&mut self, case: usize, window: Window, codes: &[i8]) -> Result<(), SourceError> {
        self.now.write(case, window, codes)
    }

    fn snapshot(&self) -> Result<String, SourceError> {
        let mut kept = self.kept.borrow_mut();
        kept.push(self.now.clone());
        Ok((kept.len() - 1).to_string())
    }
}

/// As [`volumes`], and one that nothing may be done to.
fn supported() -> InMemory {
    volumes_with(|case| if case == 1 { 0.0 } else { 1.0 })
}

fn pgd(method: &str) -> Pgd {
    let mut config = PgdConfig::new(method, Scale::Compact).unwrap();
    config.common = SurrogateConfig {
        rounds: 3,
        ..self::config().common
    };
    config.recipe.steps = 1;
    if let Schedule::Pretrained { rounds, .. } = &mut config.recipe.schedule {
        *rounds = 3;
    }
    Pgd::new(config, 1, 2, &device()).unwrap()
}

/// Everything that a run leaves, and the rounds that it began.
type Descended = (Vec<Vec<i8>>, Vec<Vec<u8>>, Vec<RoundRecord>, Vec<usize>);

fn descended(run: Pgd, store: &mut Snapshots) -> (Descended, Vec<usize>) {
    let (mut rounds, mut last) = (Vec::new(), 0);
    let found = run.run(&mut supported(), store, &mut |event| match event {
        Event::RoundStarted { round, .. } => rounds.push(*round),
        Event::Step { done, total } => {
            assert!(last == 0 || *done == last + 1);
            last = *done;
            assert!(done <= total);
        }
        _ => {}
    });
    let found = found.unwrap();
    let deltas = (0..3).map(|case| store.read(case, Window::whole([9, 11, 10])).unwrap());
    let weights = found.surrogate.weights().unwrap().into_values();
    let weights = weights.map(|data| data.into_bytes().to_vec());
    let left = (
        deltas.collect(),
        weights.collect(),
        found.history,
        found.untouched,
    );
    (left, rounds)
}

#[test]
fn perturbations_of_cases_go_on_from_every_round() {
    for (method, pretrained) in [
        ("emn", false),
        ("rem", false),
        ("pue", false),
        ("salm3d", false),
        ("tap", true),
        ("sep", true),
    ] {
        let mut store = Snapshots::of(MemoryDeltas::new(1));
        let kept = store.kept.clone();
        let mut states = Vec::new();
        let mut save = |state: &dyn Fn() -> Result<TrainingState, PerturbError>| {
            states.push(state()?.to_bytes()?);
            Ok(())
        };
        assert!(pgd(method).is_resumable());
        pgd(method)
            .run_with(&mut supported(), &mut store, Some(&mut save), &mut |_| {})
            .unwrap();
        let (whole, _) = descended(pgd(method), &mut Snapshots::of(MemoryDeltas::new(1)));
        assert_eq!(whole.3, [1]);
        let before = if pretrained { 3 } else { 0 };
        assert_eq!(states.len(), before + 3, "{method}");
        for (index, bytes) in states.iter().enumerate() {
            let state = TrainingState::from_bytes(bytes).unwrap();
            let snapshot: usize = state.snapshot().unwrap().parse().unwrap();
            let mut store = Snapshots::of(kept.borrow()[snapshot].clone());
            let (found, rounds) = descended(pgd(method).resumed(&state).unwrap(), &mut store);
            assert!(found == whole, "{method} after {index}");
            let begun = (index + 1usize).saturating_sub(before);
            assert_eq!(rounds, (begun..3).collect::<Vec<_>>(), "{method}");
        }
        let state = TrainingState::from_bytes(&states[0]).unwrap();
        let other = if pretrained { "emn" } else { "tap" };
        assert!(bilevel(config()).resumed(&state).is_err());
        if pretrained {
            assert!(pgd(other).resumed(&state).is_err(), "{method}");
        }
    }
    let state = TrainingState::from_bytes(&states(config())[0]).unwrap();
    assert!(matches!(
        pgd("emn").resumed(&state),
        Err(PerturbError::State { .. })
    ));
}
