//! What every method promises, from the registry.

use std::fs;

use voxshield::{
    data::{MANIFEST_NAME, StoredVolume},
    perturb::{
        BilevelConfig, ClosedForm, METHODS, MethodKind, PgdConfig, Scale, SharedNoiseConfig,
        Support, SurrogateConfig,
    },
    pipeline::{Method, ProtectOptions, protect, verify},
};

use super::hashes;
use crate::support::{learned, phantoms};

#[test]
fn every_closed_form_keeps_the_promises_and_survives_the_manifest() {
    let folder = tempfile::tempdir().unwrap();
    let (clean, out) = (folder.path().join("clean"), folder.path().join("out"));
    phantoms(&clean, 1, 5);
    for code in ClosedForm::all() {
        for support in [Support::Roi, Support::Full] {
            let options = ProtectOptions {
                method: Method::ClosedForm {
                    code,
                    epsilon: 0.05,
                    seed: 2,
                },
                support,
                ..ProtectOptions::default()
            };
            let out = out.join(format!("{}-{}", code.name(), support.name()));
            let manifest = protect(&clean, &out, &options, &mut |_| {}).unwrap();
            assert_eq!(manifest.method["method"]["code"], code.name());
            let case = &manifest.cases[0];
            assert!(case.changed_voxels > 0 && case.achieved <= 0.05, "{code:?}");
            let report = verify(&clean, &out, &mut |_| {}).unwrap();
            assert!(report.is_kept(), "{report:?}");
        }
    }
}

/// Tiny settings of every method that is optimised for the dataset: what is promised does not depend on how long it runs.
fn optimised() -> impl Iterator<Item = (&'static str, Method)> {
    METHODS.iter().filter_map(|known| {
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
            _ => return None,
        };
        let common = method.common_mut()?;
        *common = SurrogateConfig {
            epsilon: 0.05,
            rounds: 1,
            surrogate_steps: 1,
            batch: 2,
            patch: [8; 3],
            seed: 2,
            ..common.clone()
        };
        Some((known.name, method))
    })
}

#[test]
fn every_optimised_method_keeps_the_promises_and_survives_the_manifest() {
    let folder = tempfile::tempdir().unwrap();
    let clean = folder.path().join("clean");
    phantoms(&clean, 2, 5);
    for (name, method) in optimised() {
        assert_eq!(method.name(), name);
        let options = ProtectOptions {
            method,
            ..ProtectOptions::default()
        };
        let [first, second] = ["a", "b"].map(|run| {
            let out = folder.path().join(format!("{name}-{run}"));
            let manifest = protect(&clean, &out, &options, &mut |_| {}).unwrap();
            assert_eq!((manifest.cases.len(), manifest.failed.len()), (2, 0));
            let path = out.join(MANIFEST_NAME);
            assert_eq!(
                ProtectOptions::from_manifest(&manifest, &path).unwrap(),
                options
            );
            for case in &manifest.cases {
                assert!(case.changed_voxels > 0 && case.achieved <= 0.05, "{name}");
                assert!(case.changed_voxels <= case.support_voxels, "{name}");
            }
            let report = verify(&clean, &out, &mut |_| {}).unwrap();
            assert!(report.is_kept(), "{report:?}");
            let hidden = fs::read_dir(&out).unwrap().filter(|entry| {
                let name = entry.as_ref().unwrap().file_name();
                name.to_string_lossy().starts_with('.')
            });
            assert_eq!(hidden.count(), 0, "{name}: the store is left behind");
            hashes(&out)
        });
        assert_eq!(first, second, "{name}");
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
    for (name, method) in optimised() {
        let options = ProtectOptions {
            method,
            ..ProtectOptions::default()
        };
        let out = folder.path().join(name);
        let manifest = protect(&clean, &out, &options, &mut |_| {}).unwrap();
        assert_eq!(manifest.cases.len(), 1, "{name}");
        assert_eq!(manifest.failed[0].id, "case_001", "{name}");
        assert!(
            manifest.failed[0]
                .reason
                .contains("no voxel lies in the support")
        );
    }
}

#[test]
fn equal_seeds_give_equal_bytes_and_another_seed_gives_others() {
    let folder = tempfile::tempdir().unwrap();
    let clean = folder.path().join("clean");
    phantoms(&clean, 2, 5);
    let run = |name: &str, seed: u64| {
        let out = folder.path().join(name);
        let mut options = learned();
        if let Method::Bilevel(config) = &mut options.method {
            config.common.seed = seed;
        }
        protect(&clean, &out, &options, &mut |_| {}).unwrap();
        hashes(&out)
    };
    let first = run("a", 1);
    assert_eq!(first, run("b", 1));
    assert_ne!(first, run("c", 2));
}
