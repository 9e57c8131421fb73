//! Training-side defences on one batch, and victims step by step.

use burn::tensor::{ElementConversion, Tensor};
use voxshield_eval::{
    EvalError, Optimiser, Preprocessing, VictimConfig, VictimTrainer,
    training::{
        AdversarialTraining, CleanMix, Purifier, StepContext, TRAINING_DEFENCES, TrainingDefence,
        UEraser, find, names,
    },
};
use voxshield_kernels::DiceCe;
use voxshield_models::{Architecture, Network, NetworkSpec, Width};
use voxshield_perturb::{Batch, InMemory, TrainingVolume};
use voxshield_testkit::device;

const SHAPE: [usize; 3] = [16, 16, 16];

/// A bright block of label 1 on noise.
fn volume(case: usize) -> TrainingVolume {
    let labels: Vec<i32> = (0..4096)
        .map(|i| {
            let inside = |v: usize, first: usize| (first..first + 7).contains(&v);
            let found = inside(i / 256, 3 + case) && inside(i / 16 % 16, 4) && inside(i % 16, 5);
            i32::from(found)
        })
        .collect();
    let noise = |i: usize| (i as f32 * 12.9898 + case as f32).sin() * 0.3;
    TrainingVolume {
        image: (0..4096)
            .map(|i| 2.0 * labels[i] as f32 + noise(i))
            .collect(),
        labels,
        support: vec![1.0; 4096],
        channels: 1,
        shape: SHAPE,
    }
}

fn source(cases: usize) -> InMemory {
    InMemory::new((0..cases).map(volume).collect()).unwrap()
}

fn batch() -> Batch {
    let places = [(0, 1), (1, 2)];
    Batch::read(&mut source(2), &places, SHAPE, 1, 2, &device()).unwrap()
}

fn network() -> Box<dyn Network> {
    let spec = NetworkSpec {
        patch: SHAPE,
        ..NetworkSpec::new(1, 2)
    };
    let architecture = Architecture::find("residual-unet").unwrap();
    architecture.init(&spec, 3, &device().autodiff()).unwrap()
}

fn loss(network: &dyn Network, image: Tensor<5>, batch: &Batch) -> f32 {
    let criterion = DiceCe::default();
    let logits = network.valid().forward(image);
    criterion
        .forward(logits, batch.labels.clone())
        .unwrap()
        .into_scalar::<f32>()
        .elem()
}

fn with_context<T>(step: usize, run: impl FnOnce(&StepContext<'_>) -> T) -> T {
    let (network, criterion, device) = (network(), DiceCe::default(), device());
    run(&StepContext {
        network: &*network,
        criterion: &criterion,
        device: &device,
        step,
        steps: 10,
        seed: 7,
        preprocessing: Preprocessing::Plain,
    })
}

#[test]
fn adversarial_training_raises_the_loss_within_its_radius() {
    let (radius, batch) = (0.2, batch());
    let defence = AdversarialTraining::new(radius, 3).unwrap();
    let changed = with_context(0, |context| defence.batch(batch.clone(), context)).unwrap();
    let distance = (changed.image.clone() - batch.image.clone()).abs().max();
    let distance: f32 = distance.into_scalar::<f32>().elem();
    assert!(distance > 0.19 && distance < 0.2 + 1e-6, "{distance}");
    let network = network();
    let before = loss(&*network, batch.image.clone(), &batch);
    let after = loss(&*network, changed.image.clone(), &changed);
    assert!(after > before + 1e-3, "{before} {after}");
    assert!(AdversarialTraining::new(0.0, 3).is_err() && AdversarialTraining::new(0.1, 0).is_err());
}

/// The candidates of fewer are among those of more, so the largest loss can only grow.
#[test]
fn ueraser_takes_the_candidate_with_the_largest_loss() {
    let (batch, network) = (batch(), network());
    let hardest = |candidates| {
        let defence = UEraser::new(candidates, 0.5).unwrap();
        let chosen = with_context(4, |context| defence.batch(batch.clone(), context)).unwrap();
        (0..2)
            .map(|sample| {
                let part = |t: Tensor<5>| t.narrow(0, sample, 1);
                let one = Batch {
                    image: part(chosen.image.clone()),
                    labels: chosen.labels.clone().narrow(0, sample, 1),
                    support: part(chosen.support.clone()),
                };
                loss(&*network, one.image.clone(), &one)
            })
            .collect::<Vec<f32>>()
    };
    let (one, six) = (hardest(1), hardest(6));
    assert!(
        six.iter().zip(&one).all(|(six, one)| six >= one),
        "{one:?} {six:?}"
    );
    assert!(six.iter().zip(&one).any(|(six, one)| six > one));
}

/// As the authors have it: the choice ends, the augmentation does not.
#[test]
fn ueraser_augments_without_a_choice_after_its_part_of_the_steps() {
    let batch = batch();
    let run = |candidates, step| {
        let defence = UEraser::new(candidates, 0.5).unwrap();
        with_context(step, |context| defence.batch(batch.clone(), context)).unwrap()
    };
    let (late, one) = (run(6, 5), run(1, 5));
    assert_eq!(late.labels.into_data(), one.labels.into_data());
    let (late, one) = (late.image.into_data(), one.image.into_data());
    assert_eq!(late, one);
    assert_ne!(late, batch.image.clone().into_data());
    assert_ne!(late, run(6, 4).image.into_data());
    assert_eq!(UEraser::default(), UEraser::new(5, 0.3).unwrap());
}

#[test]
fn every_defence_is_found_by_its_name_and_shares_are_checked() {
    for name in names() {
        assert_eq!(find(name).unwrap().unwrap().name(), name);
    }
    assert!(find("jpeg").unwrap().is_none());
    let mix = find("clean-mix:0.05").unwrap().unwrap();
    assert_eq!(
        mix.clean_cases(),
        CleanMix::new(0.05).unwrap().clean_cases()
    );
    for entry in TRAINING_DEFENCES {
        let of_strength = find(&format!("{}:0.5", entry.name));
        assert_eq!(of_strength.is_ok(), !entry.parameter.is_empty());
    }
    assert!(find("gamma:x").unwrap().is_none(), "not of this registry");
    let bad = ["clean-mix:0", "clean-mix:1", "fine-tune:x", "clean-only:-1"];
    for bad in bad
        .into_iter()
        .chain(["ueraser:2", "adversarial-training:0"])
    {
        assert!(
            matches!(find(bad), Err(EvalError::Parameter { .. })),
            "{bad}"
        );
    }
}

fn config(optimiser: Optimiser, learning_rate: f64) -> VictimConfig {
    VictimConfig {
        patch: SHAPE,
        batch: 2,
        steps: 12,
        optimiser,
        learning_rate,
        ..VictimConfig::narrow()
    }
}

#[test]
fn both_step_rules_learn_and_equal_seeds_learn_alike() {
    for (optimiser, rate) in [(Optimiser::Adam, 1e-2), (Optimiser::Sgd, 1e-2)] {
        let run = || {
            let config = config(optimiser, rate);
            let mut trainer = VictimTrainer::new(&config, [1, 2], &device()).unwrap();
            let (mut source, mut losses) = (source(3), Vec::new());
            while trainer.steps_done() < config.steps {
                losses.push(trainer.step(&mut source, None).unwrap());
            }
            losses
        };
        let losses = run();
        assert_eq!(losses, run());
        assert!(losses[11] < 0.8 * losses[0], "{optimiser:?}: {losses:?}");
    }
}

#[test]
fn a_victim_goes_on_from_the_weights_that_it_is_given() {
    let config = config(Optimiser::Adam, 1e-2);
    let mut trainer = VictimTrainer::new(&config, [1, 2], &device()).unwrap();
    let first = trainer.step(&mut source(2), None).unwrap();
    let weights = trainer.network().weights().unwrap();
    let fresh = VictimTrainer::new(&config, [1, 2], &device()).unwrap();
    let mut fresh = fresh.with_weights(&weights).unwrap();
    let second = fresh.step(&mut source(2), None).unwrap();
    assert!(
        second < first,
        "the same patches, one step later: {first} {second}"
    );
    let other = VictimTrainer::new(&config, [1, 3], &device()).unwrap();
    assert!(matches!(
        other.with_weights(&weights),
        Err(EvalError::Weights(_))
    ));
}

#[test]
fn a_loss_that_leaves_the_numbers_is_an_error() {
    let config = config(Optimiser::Sgd, 1e30);
    let mut trainer = VictimTrainer::new(&config, [1, 2], &device()).unwrap();
    let mut source = source(1);
    let error = loop {
        match trainer.step(&mut source, None) {
            Ok(_) if trainer.steps_done() < config.steps => {}
            Ok(_) => panic!("12 steps of size 1e30 stayed finite"),
            Err(error) => break error,
        }
    };
    let EvalError::Diverged { step, .. } = error else {
        panic!("{error}")
    };
    assert_eq!(trainer.steps_done(), step, "the victim is there still");
}

#[test]
fn a_victim_outlives_a_step_that_fails() {
    let config = config(Optimiser::Adam, 1e-2);
    let mut trainer = VictimTrainer::new(&config, [1, 2], &device()).unwrap();
    let before = trainer.network().weights().unwrap();
    let mut empty = InMemory::new(vec![]).unwrap();
    assert!(trainer.step(&mut empty, None).is_err());
    assert_eq!(trainer.network().weights().unwrap(), before);
    trainer.step(&mut source(1), None).unwrap();
    assert_eq!(trainer.steps_done(), 1);
}

/// A constant perturbation inside bright blocks is easy to see: most of it goes, on a volume that the
/// purifier was not trained on.
#[test]
fn a_purifier_takes_a_learnable_perturbation_away() {
    let (epsilon, voxels) = (0.1, 4096);
    let sign = |i: usize| {
        if (i / 256).is_multiple_of(2) {
            1.0
        } else {
            -1.0
        }
    };
    let pair = |volume: &TrainingVolume| {
        let delta: Vec<f32> = (0..voxels)
            .map(|i| epsilon as f32 * sign(i) * volume.labels[i] as f32)
            .collect();
        let protected = volume
            .image
            .iter()
            .zip(&delta)
            .map(|(x, d)| 0.3 + 0.2 * x + d);
        TrainingVolume {
            image: protected.chain(delta.iter().copied()).collect(),
            channels: 2,
            ..volume.clone()
        }
    };
    let volumes: Vec<TrainingVolume> = (0..5).map(|case| pair(&volume(case))).collect();
    let purifier = Purifier {
        epsilon,
        width: Width::Narrow,
        patch: SHAPE,
        batch: 2,
        steps: 60,
        seed: 1,
    };
    let mut source = InMemory::new(volumes[..4].to_vec()).unwrap();
    let network = purifier.train(&mut source, 1, &device()).unwrap();
    let (image, delta) = volumes[4].image.split_at(voxels);
    let mut purified = image.to_vec();
    purifier
        .apply(&*network, &mut purified, SHAPE, &device())
        .unwrap();
    let energy = |values: &mut dyn Iterator<Item = f32>| values.map(|v| v * v).sum::<f32>();
    let clean: Vec<f32> = image.iter().zip(delta).map(|(p, d)| p - d).collect();
    let before = energy(&mut delta.iter().copied());
    let after = energy(&mut purified.iter().zip(&clean).map(|(p, c)| p - c));
    assert!(after < 0.5 * before, "{before} {after}");
}
