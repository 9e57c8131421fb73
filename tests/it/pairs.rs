//! Volumes in two files, whose header says nothing about the voxels.

use std::{collections::BTreeSet, fs, path::Path};

use voxshield::{
    data::{MANIFEST_NAME, StoredVolume, discover},
    eval::VictimConfig,
    pipeline::{EvaluateOptions, EvaluatePaths, PipelineError, ProtectOptions, evaluate, verify},
};

use crate::support::{assert_kept, coded, phantoms, run};

/// A manifest that lists the header alone says nothing about the labels.
#[test]
fn both_halves_of_a_label_are_needed() {
    let folder = tempfile::tempdir().unwrap();
    let (clean, out) = (folder.path().join("clean"), folder.path().join("out"));
    paired(&clean, 1, 5);
    let label = clean.join("labels/case_000.nii.gz");
    pair(&label, &clean.join("labels/case_000"));
    fs::remove_file(label).unwrap();
    let mut manifest = run(&clean, &out, &coded("checkerboard")).unwrap();
    let paths: Vec<&str> = manifest.cases[0]
        .labels
        .iter()
        .map(|l| l.path.as_str())
        .collect();
    assert_eq!(paths, ["labels/case_000.hdr", "labels/case_000.img"]);
    assert_kept(&clean, &out);
    manifest.cases[0].labels.pop();
    manifest.write_atomic(&out.join(MANIFEST_NAME)).unwrap();
    let voxels = out.join("labels/case_000.img");
    let mut bytes = fs::read(&voxels).unwrap();
    bytes[0] ^= 1;
    fs::write(&voxels, bytes).unwrap();
    let report = verify(&clean, &out, &mut |_| {}).unwrap();
    let problems = &report.cases[0].problems;
    assert!(
        problems.iter().any(|p| p.contains("label files")),
        "{report:?}"
    );
}

/// A volume as a pair.
fn pair(volume: &Path, path: &Path) {
    let volume = StoredVolume::read(volume).unwrap();
    let mut header = volume.header_bytes()[..348].to_vec();
    // Where the voxels begin, and the magic.
    header[108..112].fill(0);
    header[344..348].copy_from_slice(b"ni1\0");
    header.extend([0; 4]);
    fs::write(path.with_extension("hdr"), header).unwrap();
    fs::write(path.with_extension("img"), volume.voxel_bytes()).unwrap();
}

/// The images of phantoms as pairs, in the plain layout.
fn paired(root: &Path, cases: u64, seed: u64) {
    let single = tempfile::tempdir().unwrap();
    phantoms(single.path(), cases, seed);
    let dataset = discover(single.path()).unwrap();
    for folder in ["images", "labels"] {
        fs::create_dir_all(root.join(folder)).unwrap();
    }
    for case in &dataset.cases {
        let image = single.path().join(&case.images[0]);
        pair(&image, &root.join("images").join(&case.id));
        let label = single.path().join(case.label.as_ref().unwrap());
        fs::copy(label, root.join(format!("labels/{}.nii.gz", case.id))).unwrap();
    }
}

#[test]
fn pairs_are_told_apart_by_their_voxels() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    paired(&path("clean"), 2, 5);
    paired(&path("test"), 1, 6);
    let manifest = run(&path("clean"), &path("out"), &coded("checkerboard")).unwrap();
    let file = &manifest.cases[0].files[0];
    assert!(file.path.ends_with(".hdr") && file.sha256_before != file.sha256_after);
    assert_kept(&path("clean"), &path("out"));

    let paths = EvaluatePaths {
        protected: path("out"),
        clean: Some(path("clean")),
        test: path("test"),
        attacker: None,
        compare: vec![],
        work: path("work"),
    };
    let options = EvaluateOptions {
        training: VictimConfig {
            patch: [16; 3],
            batch: 1,
            steps: 1,
            ..VictimConfig::narrow()
        },
        ..EvaluateOptions::default()
    };
    // The headers of training and test cases are equal, and so are those of the three sets.
    let record = evaluate(&paths, &options, &mut |_| {}).unwrap();
    let sets = record.training_sets.iter().map(|set| &set.facts.sha256);
    assert_eq!(sets.collect::<BTreeSet<_>>().len(), 3);
    let cells = record.cells.iter().map(|cell| &cell.hash);
    assert_eq!(cells.collect::<BTreeSet<_>>().len(), 3);

    let voxels = path("out/images/case_000.img");
    let mut bytes = fs::read(&voxels).unwrap();
    bytes[0] ^= 1;
    fs::write(&voxels, bytes).unwrap();
    let resumed = ProtectOptions {
        resume: true,
        ..coded("checkerboard")
    };
    let error = run(&path("clean"), &path("out"), &resumed).unwrap_err();
    assert!(
        matches!(error, PipelineError::OtherRun { .. }) && error.to_string().contains("case_000"),
        "{error}"
    );
}
