//! Cases that fail, and jobs that cannot be done.

use std::{fs, path::Path};

use voxshield::{
    data::{MANIFEST_NAME, PhantomConfig, write_phantom_dataset},
    perturb::Support,
    pipeline::{
        EvaluateOptions, EvaluatePaths, MemoryLimit, NormalisationChoice, PipelineError,
        ProtectEvent, ProtectOptions, ScanEvent, evaluate, protect, verify, verify_within,
    },
};

use super::walk;
use crate::support::{learned, phantoms, random};

#[test]
fn a_bad_case_is_reported_and_the_others_are_protected() {
    let folder = tempfile::tempdir().unwrap();
    let (clean, out) = (folder.path().join("clean"), folder.path().join("out"));
    phantoms(&clean, 3, 5);
    fs::write(clean.join("imagesTr/case_001_0000.nii.gz"), b"not a volume").unwrap();
    let manifest = protect(&clean, &out, &random(4.0 / 255.0), &mut |_| {}).unwrap();
    assert_eq!(manifest.cases.len(), 2);
    assert_eq!(manifest.failed.len(), 1);
    assert_eq!(manifest.failed[0].id, "case_001");
    // The manifest is published: it says nothing of the owner's machine.
    let reason = &manifest.failed[0].reason;
    assert!(reason.contains("imagesTr/case_001_0000.nii.gz"), "{reason}");
    let text = fs::read_to_string(out.join(MANIFEST_NAME)).unwrap();
    let machine = folder.path().canonicalize().unwrap();
    assert!(!text.contains(&*machine.to_string_lossy()), "{text}");
    assert!(!out.join("imagesTr/case_001_0000.nii.gz").exists());
    assert!(!out.join("labelsTr/case_001.nii.gz").exists());
    assert!(verify(&clean, &out, &mut |_| {}).unwrap().is_kept());
}

/// Cases are read ahead and written behind: what is reported is in their order all the same.
#[test]
fn a_case_that_fails_between_others_leaves_them_alone_and_everything_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let (clean, out) = (folder.path().join("clean"), folder.path().join("out"));
    phantoms(&clean, 9, 5);
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
    phantoms(&clean, 8, 5);
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
    phantoms(&clean, 1, 5);
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

/// What describes a dataset is copied; what may hold voxels, keys and secrets is left out, said so, and no problem for `verify`.
#[test]
fn files_beside_the_cases_are_copied_only_if_they_are_texts() {
    let folder = tempfile::tempdir().unwrap();
    let (clean, out) = (folder.path().join("clean"), folder.path().join("out"));
    phantoms(&clean, 2, 5);
    let image = fs::read(clean.join("imagesTr/case_000_0000.nii.gz")).unwrap();
    let key = b"-----BEGIN PRIVATE KEY-----\nMC4CAQ";
    for (name, content) in [
        ("case_000_0000.nii.gz.bak", &image[..]),
        ("IM000001", b"\0\0DICM"),
        ("notes.txt", &image[..]),
        ("owner.pem", key),
        ("key.txt", key),
        ("generator.safetensors", b"{}"),
        ("voxshield.json.sig", b"of an earlier protection"),
    ] {
        fs::write(clean.join(name), content).unwrap();
    }
    fs::write(clean.join("README.md"), "what this is").unwrap();
    let manifest = protect(&clean, &out, &random(0.05), &mut |_| {}).unwrap();
    let left: Vec<&str> = manifest.skipped.iter().map(|s| s.path.as_str()).collect();
    assert_eq!(left.len(), 7, "{left:?}");
    let mut found: Vec<String> = fs::read_dir(&out)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    found.sort();
    let wanted = ["README.md", "dataset.json", "imagesTr", "labelsTr"];
    assert_eq!(found, [&wanted[..], &[MANIFEST_NAME]].concat());
    assert!(verify(&clean, &out, &mut |_| {}).unwrap().is_kept());
    // One that is there all the same was not written by the program.
    fs::write(out.join("owner.pem"), key).unwrap();
    assert!(!verify(&clean, &out, &mut |_| {}).unwrap().is_kept());
}

/// CT is normalised by the statistics of the dataset: they must not depend on which cases a method has the memory for.
#[test]
fn a_case_without_room_leaves_the_statistics_of_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let (clean, out) = (folder.path().join("clean"), folder.path().join("out"));
    let large = folder.path().join("large");
    phantoms(&clean, 2, 5);
    write_phantom_dataset(&large, 1, &PhantomConfig::new([20, 20, 20], 9)).unwrap();
    for (from, to) in [
        (
            "imagesTr/case_000_0000.nii.gz",
            "imagesTr/case_007_0000.nii.gz",
        ),
        ("labelsTr/case_000.nii.gz", "labelsTr/case_007.nii.gz"),
    ] {
        fs::copy(large.join(from), clean.join(to)).unwrap();
    }
    // 15 bytes a voxel are needed to train on a case, 3 to look at it: enough for the small ones, and to look at the large one.
    let limit = Some(MemoryLimit::bytes(15 * 12 * 17 * 14));
    let mut options = ProtectOptions {
        normalisation: NormalisationChoice::Ct,
        max_memory: limit,
        ..learned()
    };
    options.method.common_mut().unwrap().epsilon = 0.1;
    let manifest = protect(&clean, &out, &options, &mut |_| {}).unwrap();
    assert_eq!(manifest.failed.len(), 1, "{:?}", manifest.failed);
    let report = verify_within(&clean, &out, limit, &mut |_| {}).unwrap();
    assert!(report.is_kept(), "{report:?}");
}

#[test]
fn a_case_beyond_the_memory_is_refused_before_it_takes_any() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    phantoms(&path("clean"), 1, 5);
    // 12 x 17 x 14 voxels of 2 bytes, a byte for the label, and what comes on top.
    let voxels = 12 * 17 * 14;
    let contour = Support::Contour { width: 30 };
    for (options, bytes, what) in [
        (random(0.05), 3, "the case"),
        (learned(), 15, "the method voxshield"),
        (
            ProtectOptions {
                support: contour,
                ..random(0.05)
            },
            13,
            "the support contour",
        ),
    ] {
        let run = |limit: u64| {
            let options = ProtectOptions {
                max_memory: Some(MemoryLimit::bytes(limit)),
                ..options.clone()
            };
            protect(&path("clean"), &path(what), &options, &mut |_| {})
        };
        let error = run(bytes * voxels - 1).unwrap_err().to_string();
        assert!(
            error.contains(what) && error.contains("2856 voxels"),
            "{error}"
        );
        assert!(!path(what).exists());
        run(bytes * voxels).unwrap();
    }
    // What was trained is checked without the trainer's memory.
    let verify = |limit: u64| {
        let (clean, output) = (path("clean"), path("the method voxshield"));
        verify_within(
            &clean,
            &output,
            Some(MemoryLimit::bytes(limit)),
            &mut |_| {},
        )
        .unwrap()
    };
    assert!(verify(3 * voxels).is_kept());
    let problems = verify(3 * voxels - 1).cases.remove(0).problems;
    assert!(
        problems.iter().any(|p| p.contains("the case needs about")),
        "{problems:?}"
    );
    let paths = EvaluatePaths {
        protected: path("the case"),
        clean: None,
        test: path("clean"),
        attacker: None,
        compare: Vec::new(),
        work: path("work"),
    };
    // 18 bytes a voxel for a network on top.
    let options = EvaluateOptions {
        max_memory: Some(MemoryLimit::bytes(21 * voxels - 1)),
        ..EvaluateOptions::default()
    };
    let error = evaluate(&paths, &options, &mut |_| {}).unwrap_err();
    assert!(
        matches!(&error, PipelineError::Memory { voxels: 2856, needed, .. } if *needed == MemoryLimit::bytes(21 * voxels)),
        "{error}"
    );
}
