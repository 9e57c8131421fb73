//! What every method promises, from the registry.

use std::fs;

use voxshield::{
    data::{MANIFEST_NAME, StoredVolume},
    perturb::{
        BilevelConfig, ClosedForm, METHODS, MethodKind, PerturbationMethod, PgdConfig, RandomNoise,
        Scale, SharedNoiseConfig, Support, SurrogateConfig,
    },
    pipeline::{Method, ProtectOptions, protect, verify},
};

use super::hashes;
use crate::support::phantoms;

const EPSILON: f64 = 0.05;

/// Tiny settings of every method of the registry: what is promised does not depend on how long it runs.
fn every_method(seed: u64) -> impl Iterator<Item = (&'static PerturbationMethod, Method)> {
    METHODS.iter().map(move |known| {
        let mut method = match known.kind() {
            MethodKind::Bilevel(generator) => {
                Method::Bilevel(BilevelConfig::of(generator, Scale::Compact))
            }
            MethodKind::Shared(by) => Method::SharedNoise(SharedNoiseConfig {
                tile: [8; 3],
                ..SharedNoiseConfig::new(by, SurrogateConfig::compact())
            }),
            MethodKind::SampleWise => {
                Method::SampleWise(PgdConfig::new(known.name, Scale::Compact).unwrap())
            }
            MethodKind::Random => Method::Random {
                noise: RandomNoise::Uniform,
                epsilon: EPSILON,
                seed,
            },
            MethodKind::ClosedForm => Method::ClosedForm {
                code: ClosedForm::find(known.name).unwrap(),
                epsilon: EPSILON,
                seed,
            },
            other => panic!("{other:?} is not tested"),
        };
        if let Some(common) = method.common_mut() {
            *common = SurrogateConfig {
                epsilon: EPSILON,
                rounds: 1,
                surrogate_steps: 1,
                batch: 2,
                patch: [8; 3],
                seed,
                ..common.clone()
            };
        }
        assert_eq!(method.name(), known.name);
        (known, method)
    })
}

/// A pattern that is a function of the labels, the image and epsilon alone.
const WITHOUT_KEY: [&str; 7] = [
    "alternating-slices",
    "checkerboard",
    "symmetric-lattice",
    "label-lattices",
    "boundary-contrast",
    "contrast-inversion",
    "distance-rings",
];

#[test]
fn every_method_keeps_the_promises_and_survives_the_manifest() {
    let folder = tempfile::tempdir().unwrap();
    let clean = folder.path().join("clean");
    phantoms(&clean, 2, 5);
    let before = hashes(&clean);
    for (known, method) in every_method(2) {
        let name = known.name;
        // Where it is used, twice; and where labels do not end it, or do.
        let own = known.default_support();
        let other = match own {
            Support::Full => Support::Roi,
            _ => Support::Body,
        };
        let [first, second, _] = [own, own, other].map(|support| {
            let options = ProtectOptions {
                method: method.clone(),
                support,
                ..ProtectOptions::default()
            };
            let out = tempfile::tempdir().unwrap();
            let out = out.path().join("out");
            let manifest = protect(&clean, &out, &options, &mut |_| {}).unwrap();
            assert_eq!(
                (manifest.cases.len(), manifest.failed.len()),
                (2, 0),
                "{name}"
            );
            let path = out.join(MANIFEST_NAME);
            assert_eq!(
                ProtectOptions::from_manifest(&manifest, &path).unwrap(),
                options
            );
            for case in &manifest.cases {
                assert!(
                    case.changed_voxels > 0 && case.achieved <= EPSILON,
                    "{name}"
                );
                assert!(case.changed_voxels <= case.support_voxels, "{name}");
            }
            let report = verify(&clean, &out, &mut |_| {}).unwrap();
            assert!(report.is_kept(), "{name}: {report:?}");
            let hidden = fs::read_dir(&out).unwrap().filter(|entry| {
                let name = entry.as_ref().unwrap().file_name();
                name.to_string_lossy().starts_with('.')
            });
            assert_eq!(hidden.count(), 0, "{name}: the store is left behind");
            hashes(&out)
        });
        assert_eq!(first, second, "{name}");
    }
    assert_eq!(hashes(&clean), before, "the dataset was written to");
}

#[test]
fn another_seed_gives_other_bytes_under_every_method_that_has_a_key() {
    let folder = tempfile::tempdir().unwrap();
    let clean = folder.path().join("clean");
    phantoms(&clean, 1, 5);
    for ((known, one), (_, other)) in every_method(2).zip(every_method(3)) {
        let [one, other] = [one, other].map(|method| {
            let options = ProtectOptions {
                method,
                support: known.default_support(),
                ..ProtectOptions::default()
            };
            let out = tempfile::tempdir().unwrap();
            let out = out.path().join("out");
            protect(&clean, &out, &options, &mut |_| {}).unwrap();
            hashes(&out)
        });
        assert_eq!(
            one == other,
            WITHOUT_KEY.contains(&known.name),
            "{}",
            known.name
        );
    }
}

#[test]
fn a_label_without_a_share_stays_bit_for_bit_and_no_budget_is_an_error_under_every_method() {
    let folder = tempfile::tempdir().unwrap();
    let clean = folder.path().join("clean");
    phantoms(&clean, 1, 5);
    let label = StoredVolume::read(&clean.join("labelsTr/case_000.nii.gz")).unwrap();
    let labels: Vec<u64> = label.values().map(|value| value as u64).collect();
    for (known, mut method) in every_method(2) {
        let name = known.name;
        let options = ProtectOptions {
            method: method.clone(),
            support: known.default_support(),
            label_weights: "1=0".parse().unwrap(),
            ..ProtectOptions::default()
        };
        let out = folder.path().join(name);
        let manifest = protect(&clean, &out, &options, &mut |_| {}).unwrap();
        let path = &manifest.cases[0].files[0].path;
        let [before, after] = [&clean, &out].map(|root| StoredVolume::read(&root.join(path)));
        let (before, after) = (before.unwrap(), after.unwrap());
        let voxels = before.stored_values().zip(after.stored_values());
        let mut changed = 0;
        for ((before, after), label) in voxels.zip(&labels) {
            assert!(*label != 1 || before == after, "{name}");
            changed += usize::from(before != after);
        }
        assert!(changed > 0, "{name}");

        match &mut method {
            Method::Random { epsilon, .. } | Method::ClosedForm { epsilon, .. } => *epsilon = 0.0,
            trained => trained.common_mut().unwrap().epsilon = 0.0,
        }
        let options = ProtectOptions { method, ..options };
        let out = folder.path().join(format!("{name}-nothing"));
        let error = protect(&clean, &out, &options, &mut |_| {}).unwrap_err();
        assert!(error.to_string().contains("epsilon"), "{name}: {error}");
        assert!(!out.exists(), "{name}");
    }
}

#[test]
fn a_label_without_foreground_fails_its_case_under_every_method() {
    let folder = tempfile::tempdir().unwrap();
    let clean = folder.path().join("clean");
    phantoms(&clean, 2, 5);
    let label = clean.join("labelsTr/case_001.nii.gz");
    let stored = StoredVolume::read(&label).unwrap();
    let empty = vec![0; stored.voxel_bytes().len()];
    stored
        .with_voxels(empty)
        .unwrap()
        .write_atomic(&label)
        .unwrap();
    for (known, method) in every_method(2) {
        let name = known.name;
        let options = ProtectOptions {
            method,
            support: known.default_support(),
            ..ProtectOptions::default()
        };
        let out = folder.path().join(name);
        let manifest = protect(&clean, &out, &options, &mut |_| {}).unwrap();
        assert_eq!(manifest.cases.len(), 1, "{name}");
        assert_eq!(manifest.failed[0].id, "case_001", "{name}");
        let reason = &manifest.failed[0].reason;
        assert!(reason.contains("no voxel is labelled"), "{name}: {reason}");
    }
}
