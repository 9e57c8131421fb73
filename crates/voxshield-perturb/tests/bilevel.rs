//! The loop against its steps taken by hand, and how it ends when something fails.

use std::{
    thread,
    time::{Duration, Instant},
};

use burn::{
    module::Module,
    tensor::{Tensor, TensorData},
};
use voxshield_kernels::{AxisMap, map_axes};
use voxshield_models::{TensorMap, parameters};
use voxshield_perturb::{
    Batch, Bilevel, BilevelConfig, Budget, Event, GeneratorKind, InMemory, NoiseLearner, Patch,
    PatchSource, PerturbError, SourceError, SurrogateConfig, TrainingVolume, Transforms, View,
    voxshield_terms,
};
use voxshield_testkit::device;

const CASES: usize = 5;
const CLASSES: usize = 3;

fn config() -> BilevelConfig {
    BilevelConfig {
        common: SurrogateConfig {
            rounds: 2,
            surrogate_steps: 5,
            batch: 2,
            patch: [8; 3],
            ..SurrogateConfig::compact()
        },
        ..BilevelConfig::compact()
    }
}

/// Steps of a run of `config()`.
const STEPS: usize = 2 * (5 + CASES.div_ceil(2));

fn volumes() -> InMemory {
    let shape = [9, 11, 10];
    let voxels: usize = shape.iter().product();
    let volume = |case: usize| TrainingVolume {
        image: (0..voxels)
            .map(|i| ((i * 7 + case * 13) % 101) as f32 / 101.0)
            .collect(),
        labels: (0..voxels).map(|i| ((i / 50) % CLASSES) as i32).collect(),
        support: (0..voxels)
            .map(|i| f32::from(u8::from(i / 50 % CLASSES > 0)))
            .collect(),
        channels: 1,
        shape,
    };
    InMemory::new((0..CASES).map(volume).collect()).expect("volumes")
}

/// Remembers what it was asked for; slow if told so, and fails or turns to NaN at one call.
struct Recorded {
    inner: InMemory,
    calls: Vec<(usize, u64)>,
    delay: Duration,
    fails_at: Option<usize>,
    nan_at: Option<usize>,
}

impl Recorded {
    fn new() -> Self {
        Self {
            inner: volumes(),
            calls: Vec::new(),
            delay: Duration::ZERO,
            fails_at: None,
            nan_at: None,
        }
    }
}

impl PatchSource for Recorded {
    fn cases(&self) -> usize {
        self.inner.cases()
    }

    fn patch_with_margin(
        &mut self,
        case: usize,
        shape: [usize; 3],
        margin: [usize; 3],
        seed: u64,
    ) -> Result<Patch, SourceError> {
        thread::sleep(self.delay);
        let call = self.calls.len();
        self.calls.push((case, seed));
        if self.fails_at == Some(call) {
            return Err("the disk is gone".into());
        }
        let mut patch = self.inner.patch_with_margin(case, shape, margin, seed)?;
        if self.nan_at == Some(call) {
            patch.image.fill(f32::NAN);
        }
        Ok(patch)
    }
}

fn bilevel() -> Bilevel {
    Bilevel::new(config(), 1, CLASSES, &device()).expect("a loop")
}

/// Runs the loop; how it ended, and the steps that it reported.
fn run(source: &mut Recorded) -> (Result<voxshield_perturb::Trained, PerturbError>, usize) {
    let mut steps = 0;
    let trained = bilevel().run(source, &mut |event| {
        if let Event::Step { done, total } = event {
            steps += 1;
            assert_eq!((*done, *total), (steps, STEPS));
        }
    });
    (trained, steps)
}

fn bytes(weights: &TensorMap) -> Vec<(String, Vec<u8>)> {
    let bytes = |data: &burn::tensor::TensorData| data.as_bytes().to_vec();
    weights
        .iter()
        .map(|(name, data)| (name.clone(), bytes(data)))
        .collect()
}

/// Batches that are read ahead are those of a plain loop, in its order: weights and losses have the same bits.
#[test]
fn the_loop_is_its_steps_one_after_the_other() {
    let mut source = Recorded::new();
    let (trained, steps) = run(&mut source);
    let trained = trained.expect("a run");
    assert_eq!(steps, STEPS);

    let config = config();
    let (device, tracked) = (device(), device().autodiff());
    let budget = Budget::new(config.common.epsilon).expect("a budget");
    let surrogate = config.common.learner(1, CLASSES, &device);
    let mut surrogate = surrogate.expect("valid");
    let generator = config.noise_generator(1);
    let generator = generator
        .init(config.common.seed + 1, &tracked)
        .expect("valid");
    let terms = voxshield_terms(
        config.isc_weight,
        config.isc_scaling(),
        config.isc_lags,
        config.spd_weight,
    );
    let mut noise = NoiseLearner::new(generator, config.noise_rate, budget, terms);
    let mut calls = source.calls.iter().copied();
    let mut inner = volumes();
    let mut batch = |size| {
        let draws: Vec<_> = calls.by_ref().take(size).collect();
        Batch::read(&mut inner, &draws, config.common.patch, 1, CLASSES, &device).expect("a batch")
    };
    for round in 0..config.common.rounds {
        let mut sum = 0.0;
        for _ in 0..config.common.surrogate_steps {
            let batch = batch(config.common.batch);
            let delta = noise.delta(&batch);
            let loss = surrogate
                .step(&batch, delta, &View::identity())
                .expect("an S-step");
            sum += loss.into_scalar::<f32>();
        }
        let record = &trained.history[round];
        assert_eq!(
            record.surrogate_loss,
            sum / config.common.surrogate_steps as f32
        );
        let mut sum = 0.0;
        for size in [2, 2, 1] {
            let loss = noise.step(&batch(size), surrogate.network(), &View::identity());
            let total = loss.expect("an N-step").total.expect("terms");
            sum += total.into_scalar::<f32>();
        }
        assert_eq!(record.noise_loss, sum / 3.0);
    }
    assert_eq!(calls.next(), None, "no call without a step");
    let own = surrogate.network().weights().expect("readable");
    let found = trained.surrogate.weights().expect("readable");
    assert!(bytes(&own) == bytes(&found), "the surrogate");
    let own = parameters(&noise.generator().valid()).expect("readable");
    let found = parameters(&trained.generator).expect("readable");
    assert!(bytes(&own) == bytes(&found), "the generator");
}

/// Both generators make a fixed surrogate's task easier where that is all they are asked for, and VoxShield's moves predictions and
/// slices apart.
#[test]
fn steps_of_a_generator_move_its_terms_the_promised_way() {
    let of = |kind| BilevelConfig::of(kind, voxshield_perturb::Scale::Compact);
    let alone = BilevelConfig {
        isc_weight: 0.0,
        spd_weight: 0.0,
        ..of(GeneratorKind::Voxshield)
    };
    for (config, falling) in [
        // With the weights of the preset, what the divergences gain may cost DiceCE.
        (of(GeneratorKind::Voxshield), 1..3),
        (alone, 0..1),
        (of(GeneratorKind::Umed3d), 0..1),
    ] {
        let config = BilevelConfig {
            common: SurrogateConfig {
                epsilon: 0.1,
                patch: [16; 3],
                ..config.common
            },
            ..config
        };
        let tracked = device().autodiff();
        let surrogate = config.common.learner(1, CLASSES, &device());
        let surrogate = surrogate.expect("a surrogate");
        let generator = config.init_generator(1, &tracked).expect("a generator");
        let terms = voxshield_terms(
            config.isc_weight,
            config.isc_scaling(),
            config.isc_lags,
            config.spd_weight,
        );
        let budget = Budget::new(config.common.epsilon).expect("a budget");
        let mut noise = NoiseLearner::new(generator, 3e-3, budget, terms);
        let draws = [(0, 1), (1, 2)];
        let batch = Batch::read(&mut volumes(), &draws, [16; 3], 1, CLASSES, &device());
        let batch = batch.expect("a batch");
        let mut step = || {
            let loss = noise.step(&batch, surrogate.network(), &View::identity());
            let loss = loss.expect("an N-step");
            let total = loss.total.expect("terms").into_scalar::<f32>();
            let terms = loss.terms.into_iter().map(Tensor::into_scalar::<f32>);
            (total, terms.collect::<Vec<f32>>())
        };
        let first = step();
        let last = (0..20).map(|_| step()).last().expect("steps");
        assert!(last.0 < first.0, "{config:?}: {first:?} to {last:?}");
        assert_eq!(first.1.len(), falling.end);
        for term in falling {
            assert!(
                last.1[term] < first.1[term],
                "{term}: {first:?} to {last:?}"
            );
        }
    }
}

#[test]
fn a_slow_source_changes_nothing() {
    let mut slow = Recorded::new();
    slow.delay = Duration::from_millis(3);
    let mut fast = Recorded::new();
    let [a, b] = [&mut slow, &mut fast].map(|source| run(source).0.expect("a run"));
    assert_eq!(slow.calls, fast.calls);
    assert_eq!(a.history, b.history);
}

/// The error belongs to the step that needs the patch: those before it are taken.
#[test]
fn a_source_that_fails_ends_the_run_at_its_step() {
    for (call, steps_before) in [(0, 0), (7, 3), (10, 5), (15, 8)] {
        let mut source = Recorded::new();
        source.fails_at = Some(call);
        let (trained, steps) = run(&mut source);
        let error = trained.expect_err("a failure");
        let expected = source.calls[call].0;
        assert!(
            matches!(error, PerturbError::Source { case, .. } if case == expected),
            "{error}"
        );
        assert_eq!(steps, steps_before, "call {call}");
    }
}

/// The check comes every few steps, long before the end, and the reading thread ends with the run.
#[test]
fn a_loss_that_is_not_finite_ends_the_run() {
    let mut source = Recorded::new();
    source.nan_at = Some(1);
    let start = Instant::now();
    let (trained, steps) = run(&mut source);
    let error = trained.expect_err("a failure");
    assert!(
        matches!(
            error,
            PerturbError::Diverged {
                round: 0,
                which: "surrogate",
                ..
            }
        ),
        "{error}"
    );
    assert!(steps < 5, "{steps}");
    assert!(source.calls.len() < 2 * STEPS);
    assert!(start.elapsed() < Duration::from_secs(60));
}

fn trained(config: BilevelConfig) -> voxshield_perturb::Trained {
    let bilevel = Bilevel::new(config, 1, CLASSES, &device()).expect("a loop");
    bilevel.run(&mut volumes(), &mut |_| {}).expect("a run")
}

/// Transforms, further surrogates and lags are functions of the configuration, and each of them changes the result.
#[test]
fn every_option_changes_the_generator_and_repeats() {
    let plain = config();
    let options = [
        BilevelConfig {
            transforms: Transforms::strong(),
            ..plain.clone()
        },
        BilevelConfig {
            other_surrogates: vec!["seg-res-net".into()],
            ..plain.clone()
        },
        BilevelConfig {
            isc_lags: 3,
            ..plain.clone()
        },
        BilevelConfig {
            band_limit: Some(1.0),
            ..plain.clone()
        },
        BilevelConfig {
            generator: GeneratorKind::Umed3d,
            ..plain.clone()
        },
    ];
    let generator = |config: &BilevelConfig| {
        let trained = trained(config.clone());
        bytes(&parameters(&trained.generator).expect("readable"))
    };
    let reference = generator(&plain);
    for config in &options {
        let found = generator(config);
        assert!(found == generator(config), "{config:?} does not repeat");
        assert!(found != reference, "{config:?} changes nothing");
    }
}

#[test]
fn options_out_of_range_are_refused() {
    let refused = |config: BilevelConfig| Bilevel::new(config, 1, CLASSES, &device()).is_err();
    let plain = config();
    assert!(refused(BilevelConfig {
        isc_lags: 0,
        ..plain.clone()
    }));
    for sigma in [0.0, -1.0, f64::NAN, 17.0] {
        assert!(refused(BilevelConfig {
            band_limit: Some(sigma),
            ..plain.clone()
        }));
    }
    assert!(refused(BilevelConfig {
        generator: GeneratorKind::Umed3d,
        band_limit: Some(1.0),
        ..plain.clone()
    }));
    assert!(refused(BilevelConfig {
        other_surrogates: vec!["u-net".into()],
        ..plain
    }));
}

/// A blur of one voxel leaves little of white noise and most of what is limited to a lower band.
#[test]
fn a_band_limit_lets_a_blur_through() {
    let shape = [1, 1, 16, 16, 16];
    let values: Vec<f32> = (0..4096u32)
        .map(|i| i.wrapping_mul(0x9E37_79B9) as f32 / u32::MAX as f32)
        .collect();
    let image = Tensor::<5>::from_data(TensorData::new(values, shape), &device());
    let maps = [(); 3].map(|()| Some(AxisMap::gaussian(16, 1.0).expect("a width")));
    let share = |band_limit| {
        let config = BilevelConfig {
            band_limit,
            ..config()
        };
        let generator = config.noise_generator(1).init(3, &device()).expect("valid");
        let delta = generator.forward(image.clone());
        let most = delta.clone().abs().max().into_scalar::<f32>();
        assert!(most <= config.common.epsilon as f32 * 1.000_01, "{most}");
        let delta = delta.clone() - delta.mean().reshape([1, 1, 1, 1, 1]);
        let energy = |x: Tensor<5>| (x.clone() * x).sum().into_scalar::<f32>();
        let blurred = map_axes(delta.clone(), &maps).expect("maps that fit");
        energy(blurred) / energy(delta)
    };
    let (white, limited) = (share(None), share(Some(2.0)));
    assert!(limited > 0.6 && limited > white + 0.2, "{white} {limited}");
}
