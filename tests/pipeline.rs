//! The promises of the pipeline on written files (the library with the `flex` feature).
//!
//! Phantom datasets are written as real NIfTI; every check re-opens the files.
#![cfg(feature = "flex")]

use std::{fs, path::Path};

use voxshield::{
    data::{
        DataError, LabelMap, MANIFEST_NAME, NewVoxels, PhantomConfig, StoredVolume, Volume,
        discover, sha256_file, write_new, write_phantom_dataset,
    },
    perturb::{
        BilevelConfig, ClosedForm, METHODS, MethodKind, Peak, PgdConfig, RandomNoise, Scale,
        SoftRoi, Support, SurrogateConfig,
    },
    pipeline::{Method, PipelineError, ProtectEvent, ProtectOptions, ScanEvent, protect, verify},
};

fn voxshield(support: Support) -> ProtectOptions {
    ProtectOptions {
        method: Method::Voxshield(BilevelConfig {
            common: SurrogateConfig {
                rounds: 2,
                surrogate_steps: 1,
                batch: 2,
                patch: [8; 3],
                ..SurrogateConfig::compact()
            },
            ..BilevelConfig::compact()
        }),
        support,
        ..ProtectOptions::default()
    }
}

fn random(epsilon: f64) -> ProtectOptions {
    ProtectOptions {
        method: Method::Random {
            noise: RandomNoise::Rademacher,
            epsilon,
            seed: 3,
        },
        ..ProtectOptions::default()
    }
}

fn phantoms(root: &Path, cases: u64) {
    write_phantom_dataset(root, cases, &PhantomConfig::new([12, 17, 14], 5)).unwrap();
}

fn hashes(root: &Path) -> Vec<(String, String)> {
    let mut all: Vec<_> = walk(root)
        .iter()
        .map(|p| {
            (
                p.display()
                    .to_string()
                    .replace(&root.display().to_string(), ""),
                sha256_file(p).unwrap(),
            )
        })
        .filter(|(name, _)| !name.ends_with(MANIFEST_NAME))
        .collect();
    all.sort();
    all
}

fn walk(root: &Path) -> Vec<std::path::PathBuf> {
    fs::read_dir(root)
        .unwrap()
        .flat_map(|entry| {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path)
            } else {
                vec![path]
            }
        })
        .collect()
}

#[test]
fn protected_files_keep_every_promise_and_the_source_is_untouched() {
    let folder = tempfile::tempdir().unwrap();
    let (clean, out) = (folder.path().join("clean"), folder.path().join("out"));
    phantoms(&clean, 3);
    let before = hashes(&clean);
    for support in Support::ALL {
        let out = out.join(support.name());
        let manifest = protect(&clean, &out, &voxshield(support), &mut |_| {}).unwrap();
        assert_eq!((manifest.cases.len(), manifest.failed.len()), (3, 0));
        for case in &manifest.cases {
            assert!(case.achieved > 0.0 && case.achieved <= manifest.epsilon);
            assert!(case.changed_voxels > 0 && case.changed_voxels <= case.support_voxels);
            let (clean, out) = (
                clean.join(&case.files[0].path),
                out.join(&case.files[0].path),
            );
            let (clean, out) = (
                StoredVolume::read(&clean).unwrap(),
                StoredVolume::read(&out).unwrap(),
            );
            assert_eq!(clean.header_bytes(), out.header_bytes());
        }
        let report = verify(&clean, &out, &mut |_| {}).unwrap();
        assert!(report.is_kept(), "{report:?}");
        assert_eq!(discover(&out).unwrap().layout, "nnunet-v2");
    }
    assert_eq!(hashes(&clean), before, "the dataset was written to");
}

#[test]
fn every_closed_form_keeps_the_promises_and_survives_the_manifest() {
    let folder = tempfile::tempdir().unwrap();
    let (clean, out) = (folder.path().join("clean"), folder.path().join("out"));
    phantoms(&clean, 1);
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

/// Tiny settings of the sample-wise methods: what is promised does not depend on how long they run.
fn sample_wise(name: &str) -> PgdConfig {
    let mut config = PgdConfig::new(name, Scale::Compact).unwrap();
    config.common = SurrogateConfig {
        epsilon: 0.05,
        rounds: 1,
        surrogate_steps: 1,
        batch: 2,
        patch: [8; 3],
        seed: 2,
        ..config.common
    };
    config
}

fn sample_wise_names() -> impl Iterator<Item = &'static str> {
    let sample_wise = METHODS
        .iter()
        .filter(|m| m.kind() == MethodKind::SampleWise);
    sample_wise.map(|method| method.name)
}

#[test]
fn every_sample_wise_method_keeps_the_promises_and_survives_the_manifest() {
    let folder = tempfile::tempdir().unwrap();
    let clean = folder.path().join("clean");
    phantoms(&clean, 2);
    for name in sample_wise_names() {
        let options = ProtectOptions {
            method: Method::SampleWise(sample_wise(name)),
            ..ProtectOptions::default()
        };
        let [first, second] = ["a", "b"].map(|run| {
            let out = folder.path().join(format!("{name}-{run}"));
            let manifest = protect(&clean, &out, &options, &mut |_| {}).unwrap();
            assert_eq!((manifest.cases.len(), manifest.failed.len()), (2, 0));
            assert_eq!(manifest.method["method"]["method"], name);
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
    phantoms(&clean, 2);
    let label = clean.join("labelsTr/case_001.nii.gz");
    let stored = StoredVolume::read(&label).unwrap();
    let empty = vec![0; stored.voxel_bytes().len()];
    stored
        .with_voxels(empty)
        .unwrap()
        .write_atomic(&label)
        .unwrap();
    for name in sample_wise_names() {
        let options = ProtectOptions {
            method: Method::SampleWise(sample_wise(name)),
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

/// Random noise of full strength, so that the margin's budget is what limits it.
#[test]
fn a_soft_support_bounds_every_voxel_by_its_share_of_epsilon() {
    let folder = tempfile::tempdir().unwrap();
    let (clean, out) = (folder.path().join("clean"), folder.path().join("out"));
    phantoms(&clean, 1);
    let soft = SoftRoi {
        kernel: 3,
        iterations: 1,
        sigma: 1.0,
    };
    let mut options = random(0.1);
    options.support = Support::SoftRoi(soft);
    let manifest = protect(&clean, &out, &options, &mut |_| {}).unwrap();
    assert_eq!(manifest.support, "soft-roi");
    let case = &manifest.cases[0];
    let [before, after] =
        [&clean, &out].map(|root| Volume::open(&[root.join(&case.files[0].path)]).unwrap());
    let labels = LabelMap::open(&clean.join(&case.labels[0].path)).unwrap();
    let flat: Vec<u16> = labels.array().iter().copied().collect();
    let mask = soft.masks(&flat, before.shape(), Peak::Case).unwrap();
    let width = case.ranges[0].hi - case.ranges[0].lo;
    let (mut faded, mut outside) = (0, 0);
    for (((&share, &label), &v), &w) in mask
        .iter()
        .zip(&flat)
        .zip(&before.array())
        .zip(&after.array())
    {
        let change = f64::from(w - v).abs() / width;
        assert!(change <= 0.1 * f64::from(share) + 1e-7, "{change} {share}");
        faded += u64::from(change > 0.0 && label == 0 && share < 0.5);
        outside += u64::from(share == 0.0);
    }
    assert!(faded > 0 && outside > 0, "{faded} {outside}");
    let report = verify(&clean, &out, &mut |_| {}).unwrap();
    assert!(report.is_kept(), "{report:?}");
}

#[test]
fn equal_seeds_give_equal_bytes_and_another_seed_gives_others() {
    let folder = tempfile::tempdir().unwrap();
    let clean = folder.path().join("clean");
    phantoms(&clean, 2);
    let run = |name: &str, seed: u64| {
        let out = folder.path().join(name);
        let mut options = voxshield(Support::Roi);
        if let Method::Voxshield(config) = &mut options.method {
            config.common.seed = seed;
        }
        protect(&clean, &out, &options, &mut |_| {}).unwrap();
        hashes(&out)
    };
    let first = run("a", 1);
    assert_eq!(first, run("b", 1));
    assert_ne!(first, run("c", 2));
}

#[test]
fn verify_finds_one_voxel_beyond_the_budget_a_changed_label_and_an_extra_file() {
    let folder = tempfile::tempdir().unwrap();
    let (clean, out) = (folder.path().join("clean"), folder.path().join("out"));
    phantoms(&clean, 2);
    let manifest = protect(&clean, &out, &random(4.0 / 255.0), &mut |_| {}).unwrap();
    let target = out.join(&manifest.cases[0].files[0].path);
    let original = fs::read(&target).unwrap();

    let stored = StoredVolume::read(&target).unwrap();
    let mut voxels = stored.voxel_bytes().to_vec();
    let middle = voxels.len() / 4 * 2;
    voxels[middle + 1] ^= 0x10;
    stored
        .with_voxels(voxels)
        .unwrap()
        .write_atomic(&target)
        .unwrap();
    let report = verify(&clean, &out, &mut |_| {}).unwrap();
    assert!(!report.is_kept());
    assert!(
        report.cases[0]
            .problems
            .iter()
            .any(|p| p.contains("beyond epsilon")),
        "{report:?}"
    );
    assert!(report.cases[1].problems.is_empty());
    fs::write(&target, original).unwrap();
    assert!(verify(&clean, &out, &mut |_| {}).unwrap().is_kept());

    fs::copy(&target, out.join("imagesTr/stowaway_0000.nii.gz")).unwrap();
    let report = verify(&clean, &out, &mut |_| {}).unwrap();
    assert!(
        report.problems.iter().any(|p| p.contains("stowaway")),
        "{report:?}"
    );
    fs::remove_file(out.join("imagesTr/stowaway_0000.nii.gz")).unwrap();

    let labels: Vec<_> = manifest
        .cases
        .iter()
        .map(|c| out.join(&c.labels[0].path))
        .collect();
    fs::copy(&labels[1], &labels[0]).unwrap();
    let report = verify(&clean, &out, &mut |_| {}).unwrap();
    assert!(
        report.problems.iter().any(|p| p.contains("changed since")),
        "{report:?}"
    );
    fs::copy(clean.join(&manifest.cases[0].labels[0].path), &labels[0]).unwrap();

    // Whatever is not listed, hidden or not; what is missing; a manifest that says what is not so.
    for name in [".hidden.nii.gz", "imagesTr/.notes", "more.txt"] {
        fs::write(out.join(name), "x").unwrap();
        let report = verify(&clean, &out, &mut |_| {}).unwrap();
        assert_eq!(report.problems.len(), 1, "{report:?}");
        assert!(report.problems[0].contains(name), "{report:?}");
        fs::remove_file(out.join(name)).unwrap();
    }
    let json = fs::read(out.join("dataset.json")).unwrap();
    fs::remove_file(out.join("dataset.json")).unwrap();
    let report = verify(&clean, &out, &mut |_| {}).unwrap();
    assert_eq!(report.problems, ["dataset.json: missing"]);
    fs::write(out.join("dataset.json"), json).unwrap();
    assert!(verify(&clean, &out, &mut |_| {}).unwrap().is_kept());
    let mut lying = manifest.clone();
    lying.cases[0].changed_voxels += 1;
    lying.write_atomic(&out.join(MANIFEST_NAME)).unwrap();
    let report = verify(&clean, &out, &mut |_| {}).unwrap();
    assert!(
        report.cases[0].problems[0].contains("the manifest says"),
        "{report:?}"
    );
}

#[test]
fn a_bad_case_is_reported_and_the_others_are_protected() {
    let folder = tempfile::tempdir().unwrap();
    let (clean, out) = (folder.path().join("clean"), folder.path().join("out"));
    phantoms(&clean, 3);
    fs::write(clean.join("imagesTr/case_001_0000.nii.gz"), b"not a volume").unwrap();
    let manifest = protect(&clean, &out, &random(4.0 / 255.0), &mut |_| {}).unwrap();
    assert_eq!(manifest.cases.len(), 2);
    assert_eq!(manifest.failed.len(), 1);
    assert_eq!(manifest.failed[0].id, "case_001");
    assert!(!out.join("imagesTr/case_001_0000.nii.gz").exists());
    assert!(!out.join("labelsTr/case_001.nii.gz").exists());
    assert!(verify(&clean, &out, &mut |_| {}).unwrap().is_kept());
}

/// Cases are read ahead and written behind: what is reported is in their order all the same.
#[test]
fn a_case_that_fails_between_others_leaves_them_alone_and_everything_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let (clean, out) = (folder.path().join("clean"), folder.path().join("out"));
    phantoms(&clean, 9);
    let bad = |case: usize| clean.join(format!("imagesTr/case_00{case}_0000.nii.gz"));
    for case in [2, 6] {
        fs::write(bad(case), b"not a volume").unwrap();
    }
    let original = fs::read(bad(5)).unwrap();
    let (mut scanned, mut events) = (Vec::new(), Vec::new());
    let manifest = protect(&clean, &out, &random(0.05), &mut |event| match event {
        ProtectEvent::Scan(ScanEvent::Case { done, total }) => scanned.push((done, total)),
        ProtectEvent::CaseStarted { id, done, .. } => {
            if done == 0 {
                // Usable when it was scanned, and not yet read again.
                fs::write(bad(5), b"not a volume any more").unwrap();
            }
            events.push(("started", id.to_owned()));
        }
        ProtectEvent::CaseFinished(record) => events.push(("ended", record.id.clone())),
        ProtectEvent::CaseFailed(failure) => events.push(("ended", failure.id.clone())),
        _ => {}
    })
    .unwrap();
    let failed: Vec<&str> = manifest.failed.iter().map(|f| f.id.as_str()).collect();
    assert_eq!(failed, ["case_002", "case_006", "case_005"]);
    let usable = [0, 1, 3, 4, 5, 7, 8].map(|case| format!("case_00{case}"));
    for what in ["started", "ended"] {
        let ids = events.iter().filter(|event| event.0 == what);
        assert!(ids.map(|event| &event.1).eq(&usable), "{events:?}");
    }
    for (position, (what, id)) in events.iter().enumerate().filter(|e| e.1.0 == "ended") {
        let begun = events[..position].contains(&("started", id.clone()));
        assert!(begun, "{what} {id}: {events:?}");
    }
    // Nine reads, and one more for each of the seven that passed the first.
    let totals = scanned.iter().map(|&(_, total)| total);
    assert!(totals.eq(std::iter::repeat_n(18, 16)));
    assert!(scanned.is_sorted());
    assert!(!out.join("imagesTr/case_005_0000.nii.gz").exists());
    assert!(!out.join("labelsTr/case_005.nii.gz").exists());
    fs::write(bad(5), original).unwrap();
    let report = verify(&clean, &out, &mut |_| {}).unwrap();
    assert!(report.is_kept(), "{report:?}");
    let verified: Vec<&str> = report.cases.iter().map(|c| c.id.as_str()).collect();
    assert_eq!(verified.len(), 6);
    assert!(verified.is_sorted());
}

#[test]
fn an_error_that_stops_the_job_leaves_no_half_written_case() {
    let folder = tempfile::tempdir().unwrap();
    let (clean, out) = (folder.path().join("clean"), folder.path().join("out"));
    phantoms(&clean, 8);
    let aside = folder.path().join("aside");
    fs::create_dir(&aside).unwrap();
    let mut started = 0;
    let error = protect(&clean, &out, &random(0.05), &mut |event| {
        if let ProtectEvent::CaseStarted { done, .. } = event {
            started += 1;
            if done == 4 {
                // From now on no label can be written, while the cases before this one still are.
                let labels = out.join("labelsTr");
                let taken = (0..100).any(|attempt| {
                    let _ = fs::rename(&labels, aside.join(attempt.to_string()));
                    fs::write(&labels, b"").is_ok()
                });
                assert!(taken);
            }
        }
    })
    .unwrap_err();
    assert!(matches!(error, PipelineError::Io { .. }), "{error}");
    assert!((5..8).contains(&started), "{started}");
    assert!(!out.join(MANIFEST_NAME).exists());
    let names = |folder: &Path| -> Vec<String> {
        let files = walk(folder).into_iter();
        // The state that --resume goes on from.
        let files = files.filter(|path| !path.starts_with(out.join(".voxshield")));
        let mut names: Vec<String> = files
            .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    };
    // Of a case that was not finished there is nothing, not even a temporary file.
    let (images, labels) = (names(&out), names(&aside));
    assert_eq!(images.last().map(String::as_str), Some("labelsTr"));
    for image in &images[..images.len() - 1] {
        let case = image.strip_suffix("_0000.nii.gz").unwrap();
        assert!(labels.contains(&format!("{case}.nii.gz")), "{images:?}");
    }
    assert!(images.len() > 2, "those before were finished: {images:?}");
}

#[test]
fn jobs_that_cannot_be_done_are_typed_errors() {
    let folder = tempfile::tempdir().unwrap();
    let clean = folder.path().join("clean");
    phantoms(&clean, 1);
    let options = random(4.0 / 255.0);
    let go = |root: &Path, out: &Path, options: &ProtectOptions| {
        protect(root, out, options, &mut |_| {})
    };
    for out in [
        clean.clone(),
        clean.join("inside"),
        folder.path().to_path_buf(),
    ] {
        let error = go(&clean, &out, &options).unwrap_err();
        assert!(
            matches!(error, PipelineError::OutputOverlaps { .. }),
            "{error}"
        );
    }
    let full = folder.path().join("full");
    fs::create_dir(&full).unwrap();
    fs::write(full.join("precious"), b"x").unwrap();
    assert!(matches!(
        go(&clean, &full, &options),
        Err(PipelineError::OutputNotEmpty { .. })
    ));
    let missing = folder.path().join("missing");
    assert!(matches!(
        go(&missing, &folder.path().join("o"), &options),
        Err(PipelineError::Data(_))
    ));
    for epsilon in [0.0, 1.5, f64::NAN] {
        assert!(matches!(
            go(&clean, &folder.path().join("o"), &random(epsilon)),
            Err(PipelineError::Perturb(_))
        ));
    }
    assert!(
        !folder.path().join("o").exists(),
        "a refused job leaves nothing"
    );
}

#[test]
fn epsilon_below_one_stored_step_is_refused_with_the_smallest_that_works() {
    let folder = tempfile::tempdir().unwrap();
    let clean = folder.path().join("clean");
    fs::create_dir_all(clean.join("images")).unwrap();
    fs::create_dir_all(clean.join("labels")).unwrap();
    let affine = voxshield::data::Affine::from_spacing([1.0; 3]);
    let image = ndarray::Array3::from_shape_fn((10, 10, 10), |(i, j, k)| {
        20 + ((i + 2 * j + 3 * k) % 9) as u8
    });
    let label = ndarray::Array3::from_shape_fn((10, 10, 10), |(i, _, _)| u8::from(i > 5));
    write_new(
        &clean.join("images/a.nii.gz"),
        NewVoxels::from(image.view()),
        &affine,
    )
    .unwrap();
    write_new(
        &clean.join("labels/a.nii.gz"),
        NewVoxels::from(label.view()),
        &affine,
    )
    .unwrap();
    let out = folder.path().join("out");
    let error = protect(&clean, &out, &random(4.0 / 255.0), &mut |_| {}).unwrap_err();
    let PipelineError::NoUsableCase { first, .. } = &error else {
        panic!("{error}")
    };
    assert!(first.contains("at least"), "{first}");
    assert!(!out.exists());
    let stored = voxshield::data::Volume::open(&[clean.join("images/a.nii.gz")]).unwrap();
    let range = voxshield::data::Normalisation::Mri
        .range(&stored, 0)
        .unwrap();
    let Err(DataError::EpsilonBelowOneStep { smallest, .. }) =
        stored.epsilon_stored(&[range], 4.0 / 255.0)
    else {
        panic!("the step is larger than epsilon")
    };
    let manifest = protect(&clean, &out, &random(smallest), &mut |_| {}).unwrap();
    assert_eq!(manifest.cases[0].epsilon_stored, [Some(1)]);
    assert!(verify(&clean, &out, &mut |_| {}).unwrap().is_kept());
}
