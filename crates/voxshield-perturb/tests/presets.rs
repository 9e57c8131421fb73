//! The preset `paper` of every method that trains, against the settings of its source: what nobody runs on a CPU, nobody would
//! see change.

use voxshield_models::Width;
use voxshield_perturb::{
    BilevelConfig, Expectation, GeneratorKind, Inner, IscMode, METHODS, MethodKind, Objective,
    PgdConfig, Recipe, Scale, Schedule, SharedNoiseConfig, SurrogateConfig, Transforms,
    WeightNoise,
};

/// What every method is trained against, VoxShield's.
fn is_the_papers(common: &SurrogateConfig) {
    assert_eq!(common.epsilon, 4.0 / 255.0);
    assert_eq!(common.surrogate, "residual-unet");
    assert_eq!((common.networks, common.patch), (Width::Full, [160; 3]));
    assert_eq!(
        (common.rounds, common.surrogate_steps, common.batch),
        (100, 10, 8)
    );
}

#[test]
fn every_preset_of_a_source_can_be_used_and_has_its_numbers() {
    let mut seen = 0;
    for method in METHODS {
        let common = match method.kind() {
            MethodKind::Bilevel(generator) => {
                let config = BilevelConfig::of(generator, Scale::Source);
                config.validate().expect("a preset");
                assert_eq!(config.noise_rate, 1e-4);
                let rate = config.common.surrogate_rate;
                match generator {
                    GeneratorKind::Voxshield => {
                        assert_eq!((config.isc_weight, config.spd_weight), (0.2, 0.05));
                        assert_eq!((config.isc_mode, config.isc_lags), (IscMode::Reference, 1));
                        assert_eq!(rate, 5e-4);
                    }
                    GeneratorKind::Umed3d => {
                        assert_eq!((config.isc_weight, config.spd_weight), (0.0, 0.0));
                        assert_eq!(rate, 1e-4);
                    }
                }
                assert!(config.transforms.is_none() && config.band_limit.is_none());
                config.common
            }
            MethodKind::Shared(by) => {
                let config = SharedNoiseConfig::of(by, Scale::Source);
                config.validate().expect("a preset");
                config.common
            }
            MethodKind::SampleWise => {
                let config = PgdConfig::new(method.name, Scale::Source).expect("a method");
                config.validate().expect("a preset");
                assert_eq!(config.recipe, source_of(method.name), "{}", method.name);
                config.common
            }
            MethodKind::Random | MethodKind::ClosedForm => continue,
            other => panic!("{other:?} has no numbers here"),
        };
        is_the_papers(&common);
        seen += 1;
    }
    assert_eq!(seen, 4 + 8);
}

/// The settings of each source, from the sources and not from the code.
fn source_of(name: &str) -> Recipe {
    let emn = Recipe {
        objective: Objective::ErrorMinimising,
        schedule: Schedule::Alternating,
        steps: 20,
        step_size: 0.1,
        expectation: Expectation::none(),
        sparsity: None,
    };
    let robust = |inner| Recipe {
        steps: 10,
        step_size: 0.2,
        expectation: Expectation {
            transforms: Transforms::mirror(),
            views: 5,
            inner,
            weight_noise: None,
        },
        ..emn.clone()
    };
    let pretrained = |checkpoints| Schedule::Pretrained {
        rounds: 500,
        checkpoints,
    };
    match name {
        "emn" => emn,
        // The adversary has half of the radius, and a fifth of that a step.
        "rem" => robust(Inner::Adversary {
            radius: 0.5,
            steps: 10,
            step_size: 0.1,
        }),
        "sem" => robust(Inner::Uniform { radius: 0.5 }),
        "pue" => Recipe {
            expectation: Expectation {
                weight_noise: Some(WeightNoise {
                    deviation: 0.05,
                    surrogate_draws: 4,
                    draws: 8,
                }),
                ..Expectation::none()
            },
            ..emn
        },
        "tap" | "tap-untargeted" => {
            let targeted = name == "tap";
            Recipe {
                objective: match targeted {
                    true => Objective::Targeted,
                    false => Objective::Untargeted,
                },
                schedule: pretrained(1),
                // Three a round for 100 rounds: about the source's 250.
                steps: 3,
                step_size: if targeted { 0.125 } else { 0.25 },
                expectation: Expectation {
                    transforms: match targeted {
                        true => Transforms::mirror(),
                        false => Transforms::none(),
                    },
                    ..Expectation::none()
                },
                sparsity: None,
            }
        }
        "sep" => Recipe {
            objective: Objective::FeatureDistance,
            schedule: pretrained(15),
            steps: 3,
            step_size: 0.125,
            ..emn
        },
        "salm3d" => Recipe {
            sparsity: Some(voxshield_perturb::Sparsity {
                share: 0.1,
                rounds: 2,
            }),
            ..emn
        },
        other => panic!("{other} has no numbers here"),
    }
}
