//! What every sample-wise method of the list promises, on volumes in memory.

mod formula;

use burn::tensor::{Int, Tensor, TensorData};
use voxshield_kernels::DiceCe;
use voxshield_models::{Architecture, Network};
use voxshield_perturb::{
    Batch, Budget, DeltaCode, DeltaStore, Draws, Event, InMemory, METHODS, MemoryDeltas,
    MethodKind, Patch, PerturbError, Perturbed, Pgd, PgdConfig, Scale, Schedule, SignDescent,
    SurrogateConfig, TrainingVolume, VolumeSource, Window,
};
use voxshield_testkit::device;

const SHAPE: [usize; 3] = [12, 20, 11];
const CLASSES: usize = 3;
const CASES: usize = 3;
const EPSILON: f64 = 0.1;

fn names() -> impl Iterator<Item = &'static str> {
    let sample_wise = METHODS
        .iter()
        .filter(|m| m.kind() == MethodKind::SampleWise);
    sample_wise.map(|method| method.name)
}

fn config(name: &str) -> PgdConfig {
    let mut config = PgdConfig::new(name, Scale::Compact).expect("a method of the list");
    config.recipe.steps = 2;
    if let Schedule::Pretrained { rounds, .. } = &mut config.recipe.schedule {
        *rounds = 2;
    }
    config.common = SurrogateConfig {
        epsilon: EPSILON,
        rounds: 2,
        surrogate_steps: 2,
        batch: 2,
        patch: [12; 3],
        ..config.common
    };
    config
}

/// Two labels side by side in two channels of noise; the support is the labels, a half of it at half of epsilon.
fn volume(case: usize) -> TrainingVolume {
    let [_, h, w] = SHAPE;
    let voxels: usize = SHAPE.iter().product();
    let labels: Vec<i32> = (0..voxels)
        .map(|i| match (i / (h * w), i / w % h, i % w) {
            (2..10, 3..9, 2..9) => 1,
            (2..10, 9..16, 2..9) => 2,
            _ => 0,
        })
        .collect();
    TrainingVolume {
        image: (0..2 * voxels)
            .map(|i| {
                let noise = ((i * 31 + case * 17) % 97) as f32 / 97.0;
                0.7 * noise + 0.1 * labels[i % voxels] as f32
            })
            .collect(),
        support: labels
            .iter()
            .map(|&l| [0.0, 1.0, 0.5][l as usize])
            .collect(),
        labels,
        channels: 2,
        shape: SHAPE,
    }
}

fn volumes() -> InMemory {
    InMemory::new((0..CASES).map(volume).collect()).expect("volumes")
}

fn run(config: &PgdConfig, source: &mut InMemory) -> (Perturbed, MemoryDeltas) {
    let mut store = MemoryDeltas::new(2);
    let pgd = Pgd::new(config.clone(), 2, CLASSES, &device()).expect("a loop");
    let perturbed = pgd.run(source, &mut store, &mut |_| {});
    (perturbed.expect("a run"), store)
}

fn codes(store: &MemoryDeltas) -> Vec<Vec<i8>> {
    let whole = |case| store.read(case, Window::whole(SHAPE)).expect("in memory");
    (0..CASES).map(whole).collect()
}

#[test]
fn every_method_keeps_budget_bounds_support_and_seed() {
    let budget = Budget::new(EPSILON).expect("a budget");
    let code = DeltaCode::new(budget);
    for name in names() {
        let config = config(name);
        let (perturbed, store) = run(&config, &mut volumes());
        let found = codes(&store);
        assert!(perturbed.untouched.is_empty(), "{name}");
        for (case, codes) in found.iter().enumerate() {
            let TrainingVolume { image, support, .. } = volume(case);
            let mut delta: Vec<f32> = codes.iter().map(|&c| code.decode(c)).collect();
            let supported = support.iter().cycle();
            let outside = delta
                .iter()
                .zip(supported.clone())
                .filter(|(_, s)| **s == 0.0);
            assert!(
                outside.clone().all(|(d, _)| *d == 0.0),
                "{name}: moved outside"
            );
            budget.clip(&image, &support, &mut delta).unwrap();
            let mut changed = 0;
            for ((d, x), share) in delta.iter().zip(&image).zip(supported) {
                assert!(d.abs() <= EPSILON as f32 * share, "{name}: {d}");
                assert!((0.0..=1.0).contains(&(x + d)), "{name}: {x} + {d}");
                changed += usize::from(*d != 0.0);
            }
            assert!(
                changed > 50,
                "{name}: case {case}: {changed} voxels changed"
            );
        }
        assert!(
            found == codes(&run(&config, &mut volumes()).1),
            "{name}: seed"
        );
        let mut other = config;
        other.common.seed = 1;
        assert!(
            found != codes(&run(&other, &mut volumes()).1),
            "{name}: seed"
        );
    }
}

#[test]
fn a_case_without_support_is_named_and_stays_as_it_is() {
    for name in names() {
        let empty = TrainingVolume {
            labels: vec![0; SHAPE.iter().product()],
            support: vec![0.0; SHAPE.iter().product()],
            ..volume(1)
        };
        let cases = vec![volume(0), empty, volume(2)];
        let mut source = InMemory::new(cases).expect("volumes");
        let (perturbed, store) = run(&config(name), &mut source);
        assert_eq!(perturbed.untouched, [1], "{name}");
        let codes = codes(&store);
        assert!(codes[1].iter().all(|&code| code == 0), "{name}");
        assert!(codes[0].iter().any(|&code| code != 0), "{name}");
    }
}

/// One batch, one surrogate that has learnt a little, ten steps.
#[test]
fn every_criterion_falls() {
    for name in names() {
        let config = config(name);
        let recipe = &config.recipe;
        let batch = two_patches();
        let targets = targets(&config);
        let mut criterion = recipe.objective.criterion(CLASSES);
        if criterion.needs_survey() {
            criterion.survey(0, &*targets[0], &batch);
        }
        let budget = Budget::new(EPSILON).expect("a budget");
        let descent = SignDescent {
            budget,
            step_size: recipe.step_size * EPSILON,
            steps: 10,
        };
        let estimate = |protected, draws: &mut Draws| {
            let expectation = &recipe.expectation;
            expectation.estimate(&*criterion, &targets, protected, &batch.labels, draws)
        };
        // The same draws before and after, others on the way.
        let value = |protected| {
            let estimate = estimate(protected, &mut Draws::new(budget, 7));
            estimate.expect("an estimate").value.into_scalar::<f32>()
        };
        let before = value(batch.image.clone());
        let (delta, mut draws) = (batch.image.zeros_like(), Draws::new(budget, 8));
        let moved = descent.run(&batch, delta, None, &mut |u| estimate(u, &mut draws));
        let delta = budget.project(moved.expect("steps").0, &batch.support);
        let after = value(budget.protect(batch.image.clone(), delta.clone()));
        assert!(after < before, "{name}: {before} to {after}");

        // What it means for those who train: noise that minimises the error makes it smaller, adversarial noise larger.
        let error = |volume: Tensor<5>| {
            let logits = targets[0].forward(volume);
            let loss = DiceCe::default().forward(logits, batch.labels.clone());
            loss.expect("it fits").into_scalar::<f32>()
        };
        let clean = error(batch.image.clone());
        let perturbed = error(budget.protect(batch.image.clone(), delta));
        let adversarial = ["tap", "tap-untargeted", "sep"].contains(&name);
        assert_eq!(
            perturbed > clean,
            adversarial,
            "{name}: {clean} to {perturbed}"
        );
    }
}

/// A surrogate that has learnt a little, frozen.
fn targets(config: &PgdConfig) -> [Box<dyn Network>; 1] {
    let (perturbed, _) = run(config, &mut volumes());
    let network = Architecture::find(&config.common.surrogate).expect("known");
    let spec = voxshield_models::NetworkSpec {
        patch: config.common.patch,
        ..voxshield_models::NetworkSpec::new(2, CLASSES)
    };
    let network = network.init(&spec, 0, &device().autodiff());
    let weights = perturbed.surrogate.weights().expect("readable");
    let network = network.expect("a network").with_weights(&weights);
    [network.expect("its weights").frozen()]
}

/// A patch of two cases.
fn two_patches() -> Batch {
    let patch = |case| volume(case).window([0, 4, 0], [12; 3]);
    batch(&[patch(0), patch(1)])
}

fn batch(patches: &[Patch]) -> Batch {
    let n = patches.len();
    let join = |part: fn(&Patch) -> &Vec<f32>, channels| {
        let values: Vec<f32> = patches.iter().flat_map(|p| part(p).clone()).collect();
        Tensor::<5>::from_data(
            TensorData::new(values, [n, channels, 12, 12, 12]),
            &device(),
        )
    };
    let labels: Vec<i32> = patches.iter().flat_map(|p| p.labels.clone()).collect();
    Batch {
        image: join(|p| &p.image, 2),
        support: join(|p| &p.support, 1),
        labels: Tensor::<4, Int>::from_data(TensorData::new(labels, [n, 12, 12, 12]), &device()),
    }
}

#[test]
fn progress_ends_at_its_total_and_records_are_one_a_round() {
    for name in names() {
        let config = config(name);
        let (mut last, mut records) = ((0, 0), 0);
        let pgd = Pgd::new(config.clone(), 2, CLASSES, &device()).expect("a loop");
        let mut store = MemoryDeltas::new(2);
        let perturbed = pgd
            .run(&mut volumes(), &mut store, &mut |event| match event {
                Event::Step { done, total } => {
                    assert_eq!(*done, last.0 + 1, "{name}");
                    last = (*done, *total);
                }
                Event::RoundFinished(record) => {
                    assert_eq!(record.round, records);
                    records += 1;
                }
                _ => {}
            })
            .expect("a run");
        assert_eq!(last, (2 * (2 + CASES), 2 * (2 + CASES)), "{name}");
        assert_eq!((records, perturbed.history.len()), (2, 2), "{name}");
    }
}

#[test]
fn settings_and_sources_that_cannot_be_used_are_typed_errors() {
    let error = PgdConfig::new("checkerboard", Scale::Compact).expect_err("a closed form");
    assert!(error.to_string().contains("emn"), "{error}");
    let good = config("emn");
    let bad = [
        PgdConfig {
            common: SurrogateConfig {
                epsilon: 0.0,
                ..good.common.clone()
            },
            ..good.clone()
        },
        PgdConfig {
            common: SurrogateConfig {
                rounds: 0,
                ..good.common.clone()
            },
            ..good.clone()
        },
        PgdConfig {
            common: SurrogateConfig {
                surrogate_rate: f64::NAN,
                ..good.common.clone()
            },
            ..good.clone()
        },
        PgdConfig {
            recipe: voxshield_perturb::Recipe {
                steps: 0,
                ..good.recipe.clone()
            },
            ..good.clone()
        },
    ];
    for bad in bad {
        let refused = Pgd::new(bad.clone(), 2, CLASSES, &device()).err();
        assert!(
            matches!(refused, Some(PerturbError::Config { .. })),
            "{bad:?}"
        );
    }
    let pgd = Pgd::new(good.clone(), 2, CLASSES, &device()).expect("a loop");
    let mut none = InMemory::new(Vec::new()).expect("no volumes");
    let refused = pgd.run(&mut none, &mut MemoryDeltas::new(2), &mut |_| {});
    assert!(matches!(refused, Err(PerturbError::NoCases)));
    let mut nan = volume(0);
    nan.image.fill(f32::NAN);
    let mut source = InMemory::new(vec![nan]).expect("volumes");
    assert_eq!(VolumeSource::cases(&source), 1);
    let pgd = Pgd::new(good, 2, CLASSES, &device()).expect("a loop");
    let refused = pgd.run(&mut source, &mut MemoryDeltas::new(2), &mut |_| {});
    assert!(matches!(refused, Err(PerturbError::Diverged { .. })));
}

/// Noisy copies are trained and thrown away, so that statistics would stay where they began.
#[test]
fn noise_on_the_weights_needs_a_surrogate_that_is_nothing_but_weights() {
    for (surrogate, fits) in [
        ("residual-unet", true),
        ("attention-unet", false),
        ("v-net", false),
        ("con-res-net", false),
    ] {
        let mut config = config("pue");
        config.common.surrogate = surrogate.into();
        config.common.patch = [32; 3];
        match Pgd::new(config, 2, CLASSES, &device()).err() {
            None => assert!(fits, "{surrogate}"),
            Some(error) => {
                assert!(matches!(error, PerturbError::Config { .. }), "{error}");
                let text = error.to_string();
                assert!(text.contains("batch normalisation"), "{text}");
                assert!(!fits && text.ends_with(surrogate), "{text}");
            }
        }
    }
}
