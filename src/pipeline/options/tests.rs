use super::*;
use crate::perturb::{Scale, SoftRoi};

#[test]
fn options_survive_the_manifest() {
    for support in Support::ALL {
        let options = ProtectOptions {
            support,
            ..ProtectOptions::default()
        };
        let back: ProtectOptions = serde_json::from_value(options.to_json()).unwrap();
        assert_eq!(back, options);
    }
}

/// The settings that methods have in common stand beside their own, and a misspelt one is no default.
#[test]
fn settings_of_the_surrogate_are_flat_and_unknown_ones_are_refused() {
    let methods = [
        Method::Bilevel(BilevelConfig::compact()),
        Method::SharedNoise(SharedNoiseConfig::new(
            SharedBy::Label,
            SurrogateConfig::compact(),
        )),
        Method::SampleWise(PgdConfig::new("emn", Scale::Compact).unwrap()),
    ];
    for method in methods {
        let mut json = serde_json::to_value(&method).unwrap();
        for name in ["epsilon", "surrogate", "rounds", "patch", "seed"] {
            assert!(json.get(name).is_some(), "{name} of {method:?}");
        }
        assert_eq!(
            serde_json::from_value::<Method>(json.clone()).unwrap(),
            method
        );
        json["round"] = 3.into();
        let error = serde_json::from_value::<Method>(json).unwrap_err();
        assert!(error.to_string().contains("round"), "{error}");
    }
}

#[test]
fn misspelt_options_and_classes_out_of_range_are_refused() {
    let mut json = ProtectOptions::default().to_json();
    json["label_weight"] = "1=0.5".into();
    let error = serde_json::from_value::<ProtectOptions>(json).unwrap_err();
    assert!(error.to_string().contains("label_weight"), "{error}");
    for classes in [0, 300] {
        let options = ProtectOptions {
            labels: LabelSource::None { classes },
            ..ProtectOptions::default()
        };
        let error = options.validate().unwrap_err().to_string();
        assert!(error.contains("1 to 16"), "{error}");
    }
}

/// A manifest keeps hashes: what was a file is not one again.
#[test]
fn options_of_a_manifest_do_not_run_without_their_files() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("weights");
    std::fs::write(&file, "weights").unwrap();
    let weights = ProtectOptions {
        surrogate_weights: Some(SurrogateWeights::open(&file).unwrap()),
        ..ProtectOptions::default()
    };
    let target = ProtectOptions {
        save_generator: Some(GeneratorTarget::new(&file)),
        ..ProtectOptions::default()
    };
    for options in [weights, target] {
        options.validate().unwrap();
        let back: ProtectOptions = serde_json::from_value(options.to_json()).unwrap();
        assert!(matches!(
            back.validate(),
            Err(PipelineError::PathUnknown { .. })
        ));
    }
    ProtectOptions::default().validate().unwrap();
}

#[test]
fn a_soft_support_out_of_range_is_refused_before_the_work_begins() {
    let soft = SoftRoi {
        kernel: 4,
        ..SoftRoi::REFERENCE
    };
    let options = ProtectOptions {
        support: Support::SoftRoi(soft),
        ..ProtectOptions::default()
    };
    assert!(matches!(options.validate(), Err(PipelineError::Perturb(_))));
}
