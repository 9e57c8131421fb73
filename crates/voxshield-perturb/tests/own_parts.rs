//! Parts of a caller's own: a network as the surrogate, terms and sources that fail, and runs that go to a thread.

use std::{fmt::Debug, thread};

use burn::{module::Module, tensor::Tensor};
use voxshield_models::{Conv3d, ConvSpec, NamedParameters, Network, Segmenter, WeightRng};
use voxshield_perturb::{
    Bilevel, BilevelConfig, Criterion, DeltaStore, InMemory, MemoryDeltas, NoiseLearner, NoiseStep,
    PerturbError, Pgd, PgdConfig, Scale, Schedule, Seen, SharedBy, SharedNoise, SharedNoiseConfig,
    SharedNoiseTraining, SourceError, SurrogateConfig, SurrogateLearner, Term, TrainingState,
    TrainingVolume, View, VolumeSource, Window,
};
use voxshield_testkit::device;

const SHAPE: [usize; 3] = [9, 11, 10];
const VOXELS: usize = 9 * 11 * 10;

/// One convolution of 3x3x3 from 1 channel to 2 classes; any patch will do.
#[derive(Module, Debug)]
struct Plain {
    conv: Conv3d,
}

/// 27 weights for each class, and a bias.
const PARAMETERS: usize = 2 * 27 + 2;

impl NamedParameters for Plain {}

impl Segmenter for Plain {
    fn forward(&self, x: Tensor<5>) -> Tensor<5> {
        self.conv.forward(x)
    }

    fn in_channels(&self) -> usize {
        1
    }

    fn classes(&self) -> usize {
        2
    }

    fn size_multiple(&self) -> [usize; 3] {
        [1; 3]
    }
}

fn plain(common: &SurrogateConfig) -> Box<dyn Network> {
    let device = common.training_device(&device());
    let conv = ConvSpec::new([1, 2], 3).init(&mut WeightRng::new(3), &device);
    Box::new(Plain { conv })
}

fn common(patch: [usize; 3]) -> SurrogateConfig {
    SurrogateConfig {
        epsilon: 0.1,
        rounds: 2,
        surrogate_steps: 2,
        batch: 2,
        patch,
        ..SurrogateConfig::compact()
    }
}

fn bilevel_config() -> BilevelConfig {
    BilevelConfig {
        common: common([8; 3]),
        ..BilevelConfig::compact()
    }
}

/// Two cases; the class goes with the brightness.
fn volume(case: usize) -> TrainingVolume {
    let labels: Vec<i32> = (0..VOXELS).map(|i| (i / 50 % 2) as i32).collect();
    let noise = |i: usize| ((i * 7 + case * 13) % 101) as f32 / 202.0;
    TrainingVolume {
        image: (0..VOXELS)
            .map(|i| noise(i) + 0.4 * labels[i] as f32)
            .collect(),
        labels,
        support: vec![1.0; VOXELS],
        channels: 1,
        shape: SHAPE,
    }
}

fn volumes() -> InMemory {
    InMemory::new(vec![volume(0), volume(1)]).unwrap()
}

#[test]
fn a_network_of_ones_own_is_the_surrogate_also_on_another_thread() {
    let config = bilevel_config();
    let before = plain(&config.common).weights().unwrap();
    let bilevel = Bilevel::for_surrogate(config.clone(), plain(&config.common)).unwrap();
    let run = thread::spawn(move || bilevel.run(&mut volumes(), &mut |_| {}));
    let trained = run.join().unwrap().unwrap();
    assert_eq!(trained.surrogate.parameter_count(), PARAMETERS);
    assert!(trained.surrogate.weights().unwrap() != before, "it learnt");
    assert_eq!(trained.history.len(), 2);
}

/// The places of the tiles travel as one more channel.
#[test]
fn noise_for_all_cases_is_found_against_a_network_of_ones_own() {
    let config = SharedNoiseConfig {
        tile: [4, 5, 6],
        ..SharedNoiseConfig::new(SharedBy::Label, common([7, 9, 5]))
    };
    // Its sizes are no multiples of a named network's stride.
    let labels = [0, 5];
    assert!(SharedNoiseTraining::new(config.clone(), 1, &labels, &device()).is_err());
    let network = plain(&config.common);
    let training = SharedNoiseTraining::for_surrogate(config, network, &labels).unwrap();
    let placed = |case: usize, noise: &SharedNoise| {
        let mut volume = volume(case);
        let values: Vec<u16> = (volume.labels.iter())
            .map(|&class| labels[class as usize])
            .collect();
        let places = noise.place(&values, SHAPE).unwrap();
        let places = places.iter().map(|place| place.unwrap() as f32);
        volume.image.extend(places);
        volume.channels = 2;
        volume
    };
    let cases = [0, 1].map(|case| placed(case, training.noise()));
    let mut source = InMemory::new(cases.to_vec()).unwrap();
    let noise = training.run(&mut source, &mut |_| {}).unwrap();
    assert!(noise.values().iter().any(|&value| value != 0.0));
}

/// From after the surrogate's training: the targets are the network with the weights of the state.
#[test]
fn descent_against_a_network_of_ones_own_goes_on_from_its_state() {
    let mut config = PgdConfig::new("tap", Scale::Compact).unwrap();
    config.common = common([7, 9, 5]);
    config.recipe.steps = 1;
    if let Schedule::Pretrained { rounds, .. } = &mut config.recipe.schedule {
        *rounds = 2;
    }
    assert!(Pgd::new(config.clone(), 1, 2, &device()).is_err());
    let pgd = || Pgd::for_surrogate(config.clone(), plain(&config.common)).unwrap();
    let mut states = Vec::new();
    let mut save = |state: &dyn Fn() -> Result<TrainingState, PerturbError>| {
        states.push(state()?.to_bytes()?);
        Ok(())
    };
    let mut whole = MemoryDeltas::new(1);
    pgd()
        .run_with(&mut volumes(), &mut whole, Some(&mut save), &mut |_| {})
        .unwrap();
    let state = TrainingState::from_bytes(&states[1]).unwrap();
    let mut again = MemoryDeltas::new(1);
    let resumed = pgd().resumed(&state).unwrap();
    resumed
        .run(&mut volumes(), &mut again, &mut |_| {})
        .unwrap();
    for case in 0..2 {
        let codes = |store: &MemoryDeltas| store.read(case, Window::whole(SHAPE)).unwrap();
        assert!(codes(&whole).iter().any(|&code| code != 0));
        assert!(codes(&whole) == codes(&again), "case {case}");
    }
}

#[test]
fn networks_that_cannot_be_the_surrogate_are_refused() {
    let config = bilevel_config();
    let refused = |config: &BilevelConfig, network| {
        let error = Bilevel::for_surrogate(config.clone(), network).unwrap_err();
        assert!(matches!(error, PerturbError::Config { .. }), "{error}");
        error.to_string()
    };
    // Without gradients, and without the checkpointing that is asked for.
    let text = refused(&config, plain(&config.common).valid());
    assert!(text.starts_with("device of the surrogate"), "{text}");
    let mut checkpointing = config.clone();
    checkpointing.common.checkpointing = true;
    let text = refused(&checkpointing, plain(&config.common));
    assert!(text.starts_with("device of the surrogate"), "{text}");
    let shared = SharedNoiseConfig::new(SharedBy::Label, config.common.clone());
    let network = plain(&shared.common);
    let error = SharedNoiseTraining::for_surrogate(shared, network, &[0, 1, 2]).unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with("classes of the surrogate"), "{text}");
}

/// Cannot be computed.
#[derive(Debug)]
struct Failing;

impl Failing {
    fn error() -> PerturbError {
        PerturbError::Other {
            what: "the table of weights",
            source: "no such file".into(),
        }
    }
}

impl Term for Failing {
    fn name(&self) -> &'static str {
        "failing"
    }

    fn weight(&self) -> f64 {
        2.0
    }

    fn value(&self, _: &NoiseStep) -> Result<Tensor<1>, PerturbError> {
        Err(Self::error())
    }
}

impl Criterion for Failing {
    fn name(&self) -> &'static str {
        "failing"
    }

    fn value(&self, _: &Seen<'_>) -> Result<Tensor<1>, PerturbError> {
        Err(Self::error())
    }
}

#[test]
fn errors_of_ones_own_parts_come_back_as_they_are() {
    let bilevel = Bilevel::new(bilevel_config(), 1, 2, &device()).unwrap();
    let bilevel = bilevel.with_term(Box::new(Failing));
    assert!(format!("{bilevel:?}").contains("2 * failing"));
    let error = bilevel.run(&mut volumes(), &mut |_| {}).unwrap_err();
    assert_eq!(error.to_string(), "the table of weights: no such file");

    let mut config = PgdConfig::new("emn", Scale::Compact).unwrap();
    config.common = common([8; 3]);
    let pgd = Pgd::new(config, 1, 2, &device()).unwrap();
    let pgd = pgd.with_criterion(Box::new(Failing));
    let error = pgd.run(&mut volumes(), &mut MemoryDeltas::new(1), &mut |_| {});
    assert!(matches!(error, Err(PerturbError::Other { .. })));
}

/// A case whose support is too short.
struct Short(TrainingVolume);

impl VolumeSource for Short {
    fn cases(&self) -> usize {
        1
    }

    fn volume(&mut self, _: usize) -> Result<&TrainingVolume, SourceError> {
        Ok(&self.0)
    }
}

#[test]
fn a_volume_of_another_length_is_an_error() {
    let mut short = Short(volume(0));
    short.0.support.truncate(100);
    let mut config = PgdConfig::new("emn", Scale::Compact).unwrap();
    config.common = common([8; 3]);
    let pgd = Pgd::new(config, 1, 2, &device()).unwrap();
    let error = pgd.run(&mut short, &mut MemoryDeltas::new(1), &mut |_| {});
    assert!(matches!(
        error,
        Err(PerturbError::Extent {
            case: 0,
            what: "support",
            expected: VOXELS,
            found: 100
        })
    ));
}

#[test]
fn what_a_program_keeps_is_sent_and_printed() {
    fn kept<T: Send + Debug>() {}
    kept::<Bilevel>();
    kept::<Pgd>();
    kept::<SharedNoiseTraining>();
    kept::<SurrogateLearner>();
    kept::<NoiseLearner>();
    kept::<View>();
}
