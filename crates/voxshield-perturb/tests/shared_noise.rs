//! Noise that all cases share: the criterion goes down, bound and seed are kept, places without support do not move.

use voxshield_perturb::{
    Event, InMemory, PerturbError, SharedBy, SharedNoise, SharedNoiseConfig, SharedNoiseTraining,
    SurrogateConfig, TrainingState, TrainingVolume, Transforms,
};
use voxshield_testkit::device;

const SHAPE: [usize; 3] = [9, 11, 10];
const VOXELS: usize = 9 * 11 * 10;
const LABELS: [u16; 3] = [0, 2, 7];

fn config(shared_by: SharedBy) -> SharedNoiseConfig {
    SharedNoiseConfig {
        tile: [4, 5, 6],
        ..SharedNoiseConfig::new(
            shared_by,
            SurrogateConfig {
                epsilon: 0.1,
                rounds: 3,
                surrogate_steps: 4,
                batch: 2,
                patch: [8; 3],
                ..SurrogateConfig::compact()
            },
        )
    }
}

/// Label values of a case.
fn labels(case: usize) -> Vec<u16> {
    (0..VOXELS).map(|i| LABELS[(i / 50 + case) % 3]).collect()
}

/// Cases whose last channel is the place of each voxel; voxels of label 7 have no support.
fn source(noise: &SharedNoise) -> InMemory {
    let volume = |case: usize| {
        let labels = labels(case);
        let mut image: Vec<f32> = (0..VOXELS)
            .map(|i| ((i * 7 + case * 13) % 101) as f32 / 101.0)
            .collect();
        let places = noise.place(&labels, SHAPE).expect("places");
        image.extend(places.iter().map(|place| place.expect("a tile") as f32));
        TrainingVolume {
            image,
            support: labels
                .iter()
                .map(|&l| f32::from(u8::from(l != 7)))
                .collect(),
            labels: labels
                .iter()
                .map(|l| LABELS.binary_search(l).expect("known") as i32)
                .collect(),
            channels: 2,
            shape: SHAPE,
        }
    };
    InMemory::new((0..3).map(volume).collect()).expect("volumes")
}

fn run(config: &SharedNoiseConfig) -> (SharedNoise, Vec<f32>) {
    let training = SharedNoiseTraining::new(config.clone(), 1, &LABELS, &device()).expect("valid");
    let mut source = source(training.noise());
    let mut losses = Vec::new();
    let noise = training.run(&mut source, &mut |event| {
        if let Event::RoundFinished(record) = event {
            losses.push(record.noise_loss);
        }
    });
    (noise.expect("a run"), losses)
}

#[test]
fn bound_seed_and_support_are_kept() {
    for shared_by in [SharedBy::Dataset, SharedBy::Label] {
        let config = config(shared_by);
        let (noise, _) = run(&config);
        let most = noise
            .values()
            .iter()
            .fold(0f32, |most, v| most.max(v.abs()));
        assert!(most > 0.0 && most <= 0.1, "{most}");
        assert_eq!(run(&config).0, noise);
        let other = SharedNoiseConfig {
            common: SurrogateConfig {
                seed: 1,
                ..config.common.clone()
            },
            ..config.clone()
        };
        assert_ne!(run(&other).0, noise);
        let transformed = SharedNoiseConfig {
            transforms: Transforms::strong(),
            ..config
        };
        assert_ne!(run(&transformed).0, noise);
    }
    // The tile of the label that no voxel may use is still 0.
    let (noise, _) = run(&config(SharedBy::Label));
    let tile = noise.places() / LABELS.len();
    let moved: Vec<bool> = noise
        .values()
        .chunks(tile)
        .map(|tile| tile.iter().any(|&v| v != 0.0))
        .collect();
    assert_eq!(moved, [true, true, false]);
}

/// Against the same loop whose noise hardly moves: error-minimising noise lowers the surrogate's error.
#[test]
fn the_criterion_goes_down() {
    for shared_by in [SharedBy::Dataset, SharedBy::Label] {
        let still = SharedNoiseConfig {
            common: SurrogateConfig {
                rounds: 6,
                ..config(shared_by).common
            },
            step_size: 1e-6,
            ..config(shared_by)
        };
        let moving = SharedNoiseConfig {
            step_size: 0.3,
            ..still.clone()
        };
        let last = |config| run(config).1.last().copied().expect("rounds");
        let (still, moving) = (last(&still), last(&moving));
        assert!(moving < still, "{shared_by:?}: {moving} {still}");
    }
}

/// A run that stops after any round and goes on from its stored state ends where an undisturbed run ends.
#[test]
fn every_round_is_a_place_to_go_on_from() {
    for shared_by in [SharedBy::Dataset, SharedBy::Label] {
        let new = |tile| {
            let config = SharedNoiseConfig {
                tile,
                ..config(shared_by)
            };
            SharedNoiseTraining::new(config, 1, &LABELS, &device()).expect("valid")
        };
        let training = new([4, 5, 6]);
        assert!(training.is_resumable());
        let mut source = source(training.noise());
        let mut states = Vec::new();
        let mut save = |state: &dyn Fn() -> Result<TrainingState, PerturbError>| {
            states.push(state()?.to_bytes()?);
            Ok(())
        };
        let whole = training.run_with(&mut source, Some(&mut save), &mut |_| {});
        let whole = whole.expect("a run");
        assert_eq!(states.len(), 3);
        for (round, bytes) in states.iter().enumerate() {
            let state = TrainingState::from_bytes(bytes).expect("a state");
            let resumed = new([4, 5, 6]).resumed(&state).expect("its own state");
            let found = resumed.run(&mut source, &mut |_| {}).expect("a run");
            assert!(found == whole, "{shared_by:?} after round {round}");
            let other = new([4, 4, 4]).resumed(&state).err();
            assert!(matches!(other, Some(PerturbError::State { .. })));
        }
    }
}

#[test]
fn settings_out_of_range_are_refused() {
    let good = config(SharedBy::Label);
    for bad in [
        SharedNoiseConfig {
            step_size: 0.0,
            ..good.clone()
        },
        SharedNoiseConfig {
            tile: [1, 8, 8],
            ..good.clone()
        },
        SharedNoiseConfig {
            common: SurrogateConfig {
                rounds: 0,
                ..good.common.clone()
            },
            ..good.clone()
        },
    ] {
        let error = SharedNoiseTraining::new(bad, 1, &LABELS, &device()).err();
        assert!(matches!(error, Some(PerturbError::Config { .. })));
    }
    let training = SharedNoiseTraining::new(good, 1, &LABELS, &device()).expect("valid");
    let mut none = InMemory::new(Vec::new()).expect("volumes");
    let error = training.run(&mut none, &mut |_| {}).err();
    assert!(matches!(error, Some(PerturbError::NoCases)));
}
