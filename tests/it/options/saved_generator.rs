use std::fs;

use voxshield::{
    data::sha256_file,
    models::{ResidualUnetConfig, save_weights},
    perturb::{BilevelConfig, GeneratorKind, SharedBy, SharedNoiseConfig, Support},
    pipeline::{
        DeviceChoice, GeneratorTarget, LabelSource, Method, NormalisationChoice, PipelineError,
        ProtectOptions, SavedGenerator,
    },
};

use crate::support::{assert_kept, coded, config, learned, phantoms, run};

#[test]
fn a_saved_generator_protects_the_same_cases_alike_and_later_ones_without_training() {
    for kind in [GeneratorKind::Voxshield, GeneratorKind::Umed3d] {
        protects_later_cases(&BilevelConfig {
            generator: kind,
            ..config()
        });
    }
}

fn protects_later_cases(config: &BilevelConfig) {
    let learned = || ProtectOptions {
        method: Method::Bilevel(config.clone()),
        ..ProtectOptions::default()
    };
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    phantoms(&path("clean"), 2, 5);
    phantoms(&path("later"), 2, 6);
    let file = path("generator.safetensors");
    let training = ProtectOptions {
        save_generator: Some(GeneratorTarget::new(&file)),
        ..learned()
    };
    let first = run(&path("clean"), &path("a"), &training).unwrap();

    let saved = SavedGenerator::open(&file).unwrap();
    let applying = ProtectOptions::default().with_generator(saved);
    let again = run(&path("clean"), &path("b"), &applying).unwrap();
    for (a, b) in first.cases.iter().zip(&again.cases) {
        assert_eq!(a.files, b.files, "the same generator, other bytes");
    }
    assert_eq!((again.epsilon, again.seed), (first.epsilon, first.seed));
    let later = run(&path("later"), &path("c"), &applying).unwrap();
    assert_eq!((later.cases.len(), later.failed.len()), (2, 0));
    assert!(later.cases.iter().all(|case| case.achieved > 0.0));
    assert_kept(&path("later"), &path("c"));

    let hash = sha256_file(&file).unwrap();
    for manifest in [&first, &again] {
        let text = serde_json::to_string(manifest).unwrap();
        assert!(text.contains(&hash), "{text}");
        let secret = folder.path().to_string_lossy().into_owned();
        assert!(!text.contains(&secret) && !text.contains("safetensors"));
    }
    // Equal training, equal file.
    let second = path("second.safetensors");
    let training = ProtectOptions {
        save_generator: Some(GeneratorTarget::new(&second)),
        ..learned()
    };
    run(&path("clean"), &path("d"), &training).unwrap();
    assert_eq!(sha256_file(&second).unwrap(), hash);
}

#[test]
fn what_a_generator_was_not_trained_for_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    phantoms(&path("clean"), 1, 5);
    let file = path("generator.safetensors");
    let training = ProtectOptions {
        save_generator: Some(GeneratorTarget::new(&file)),
        ..learned()
    };
    run(&path("clean"), &path("a"), &training).unwrap();
    let saved = SavedGenerator::open(&file).unwrap();
    assert!(saved.expect_epsilon(4.0 / 255.0).is_ok());
    let mismatches =
        |error: &PipelineError| matches!(error, PipelineError::GeneratorMismatch { .. });
    assert!(mismatches(&saved.expect_epsilon(0.1).unwrap_err()));
    let applying = ProtectOptions {
        method: Method::SavedGenerator(saved),
        ..ProtectOptions::default()
    };
    let wrong = [
        ProtectOptions {
            support: Support::Full,
            ..applying.clone()
        },
        ProtectOptions {
            normalisation: NormalisationChoice::Ct,
            ..applying.clone()
        },
    ];
    for options in wrong {
        let error = run(&path("clean"), &path("b"), &options).unwrap_err();
        assert!(mismatches(&error), "{error}");
    }
    // A file that has changed since it was opened.
    fs::write(&file, b"other").unwrap();
    let error = run(&path("clean"), &path("b"), &applying).unwrap_err();
    assert!(
        matches!(error, PipelineError::NotAGenerator { .. }),
        "{error}"
    );
    assert!(SavedGenerator::open(&file).is_err());
    // Weights of something else.
    let device = DeviceChoice::Cpu.open().unwrap();
    let network = ResidualUnetConfig::narrow(1, 2).init(0, &device).unwrap();
    save_weights(&network, &file).unwrap();
    let error = SavedGenerator::open(&file).unwrap_err();
    assert!(error.to_string().contains("save-generator"), "{error}");
}

/// Whatever trained it.
#[test]
fn a_generator_of_a_training_of_ones_own_protects_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    phantoms(&path("clean"), 1, 5);
    let device = DeviceChoice::Cpu.open().unwrap();
    let generator = config().init_generator(1, &device).unwrap();
    let trained = ProtectOptions {
        support: Support::Full,
        label_weights: "1=0.5".parse().unwrap(),
        normalisation: NormalisationChoice::Window {
            lo: 0.0,
            hi: 1500.0,
        },
        ..learned()
    };
    let file = path("generator.safetensors");
    let saved = SavedGenerator::save(&file, &generator, 1, &trained).unwrap();
    let options = ProtectOptions::default().with_generator(saved.clone());
    assert_eq!(options.support, trained.support);
    assert_eq!(options.label_weights, trained.label_weights);
    assert_eq!(options.normalisation, trained.normalisation);
    let manifest = run(&path("clean"), &path("out"), &options).unwrap();
    assert_eq!(manifest.cases.len(), 1);
    assert!(manifest.cases[0].achieved > 0.0);
    assert_kept(&path("clean"), &path("out"));
    // The manifest keeps no path, and says so before anything is done.
    let back = ProtectOptions::from_manifest(&manifest, &path("out")).unwrap();
    let error = run(&path("clean"), &path("again"), &back).unwrap_err();
    assert!(
        matches!(error, PipelineError::PathUnknown { .. }),
        "{error}"
    );

    // Of another configuration, for other channels, or under a method that has no generator.
    let other = ProtectOptions {
        method: Method::Bilevel(BilevelConfig {
            generator: GeneratorKind::Umed3d,
            ..config()
        }),
        ..ProtectOptions::default()
    };
    for (channels, wrong) in [(1, &other), (2, &trained), (1, &coded("checkerboard"))] {
        let error = SavedGenerator::save(&file, &generator, channels, wrong).unwrap_err();
        assert!(matches!(error, PipelineError::Perturb(_)), "{error}");
    }
    assert_eq!(SavedGenerator::open(&file).unwrap(), saved);
}

#[test]
fn a_generator_is_not_published_with_the_data() {
    let folder = tempfile::tempdir().unwrap();
    let (clean, out) = (folder.path().join("clean"), folder.path().join("out"));
    phantoms(&clean, 1, 5);
    for inside in [&clean, &out] {
        let options = ProtectOptions {
            save_generator: Some(GeneratorTarget::new(&inside.join("g.safetensors"))),
            ..learned()
        };
        let error = run(&clean, &out, &options).unwrap_err();
        assert!(
            matches!(error, PipelineError::SecretInside { .. }),
            "{error}"
        );
    }
    assert!(!out.exists());
}

/// Tiles that all cases share: kept, applied to cases that come later, and found out where they are used otherwise.
#[test]
fn shared_noise_protects_later_cases() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    phantoms(&path("clean"), 2, 5);
    phantoms(&path("later"), 2, 6);
    for by in [SharedBy::Dataset, SharedBy::Label] {
        let file = path(&format!("{by:?}.safetensors"));
        let config = SharedNoiseConfig {
            tile: [8; 3],
            ..SharedNoiseConfig::new(by, config().common)
        };
        let training = ProtectOptions {
            method: Method::SharedNoise(config),
            support: Support::Full,
            save_generator: Some(GeneratorTarget::new(&file)),
            ..ProtectOptions::default()
        };
        let out = |name: &str| path(&format!("{name}-{by:?}"));
        let first = run(&path("clean"), &out("a"), &training).unwrap();
        assert_kept(&path("clean"), &out("a"));
        let saved = SavedGenerator::open(&file).unwrap();
        let applying = ProtectOptions::default().with_generator(saved);
        assert_eq!(applying.support, Support::Full);
        let again = run(&path("clean"), &out("b"), &applying).unwrap();
        for (a, b) in first.cases.iter().zip(&again.cases) {
            assert_eq!(a.files, b.files, "the same noise, other bytes");
        }
        let later = run(&path("later"), &out("c"), &applying).unwrap();
        assert_eq!((later.cases.len(), later.failed.len()), (2, 0));
        assert!(later.cases.iter().all(|case| case.changed_voxels > 0));
        assert_kept(&path("later"), &out("c"));
        let other = ProtectOptions {
            labels: LabelSource::None { classes: 2 },
            ..applying
        };
        let error = run(&path("later"), &out("d"), &other).unwrap_err();
        assert!(
            matches!(error, PipelineError::GeneratorMismatch { .. }),
            "{error}"
        );
    }
}

#[test]
fn what_trains_nothing_cannot_be_saved() {
    let folder = tempfile::tempdir().unwrap();
    let (clean, out) = (folder.path().join("clean"), folder.path().join("out"));
    phantoms(&clean, 1, 5);
    let options = ProtectOptions {
        save_generator: Some(GeneratorTarget::new(&folder.path().join("g.safetensors"))),
        ..coded("checkerboard")
    };
    let error = run(&clean, &out, &options).unwrap_err();
    assert!(
        matches!(error, PipelineError::OptionWithoutMeaning { .. }),
        "{error}"
    );
}
