//! What is said of a dataset is what `protect` finds.

use std::{fs, io::Write, path::Path};

use flate2::{Compression, GzBuilder};
use voxshield::{
    data::StoredVolume,
    pipeline::{
        CaseSummary, FileSummary, Inspection, LabelSource, NormalisationChoice, PipelineError,
        ProtectOptions, inspect,
    },
};

use crate::support::{phantoms, random, run, unlabelled};

struct Found {
    cases: Vec<CaseSummary>,
    problems: Vec<(String, String)>,
    cautions: Vec<String>,
}

fn dataset(root: &Path, options: &ProtectOptions) -> Found {
    match inspect(root, options).unwrap() {
        Inspection::Dataset {
            cases,
            problems,
            cautions,
            ..
        } => Found {
            cases,
            problems,
            cautions,
        },
        found => panic!("{found:?}"),
    }
}

fn file(path: &Path, options: &ProtectOptions) -> FileSummary {
    match inspect(path, options).unwrap() {
        Inspection::File(file) => file,
        found => panic!("{found:?}"),
    }
}

fn normalised(choice: NormalisationChoice, epsilon: f64) -> ProtectOptions {
    ProtectOptions {
        normalisation: choice,
        ..random(epsilon)
    }
}

const CHOICES: [NormalisationChoice; 4] = [
    NormalisationChoice::Auto,
    NormalisationChoice::Mri,
    // Of the whole dataset.
    NormalisationChoice::Ct,
    NormalisationChoice::Window {
        lo: 0.0,
        hi: 2000.0,
    },
];

#[test]
fn ranges_and_steps_are_those_of_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let (clean, out) = (folder.path().join("clean"), folder.path().join("out"));
    phantoms(&clean, 3, 5);
    // One that neither of them can read.
    fs::write(clean.join("imagesTr/case_001_0000.nii.gz"), "no volume").unwrap();
    for (index, choice) in CHOICES.into_iter().enumerate() {
        let options = normalised(choice, 0.05);
        let found = dataset(&clean, &options);
        let manifest = run(&clean, &out.join(index.to_string()), &options).unwrap();
        assert_eq!(found.cases.len(), 2);
        for (said, done) in found.cases.iter().zip(&manifest.cases) {
            assert_eq!((&said.id, &said.ranges), (&done.id, &done.ranges));
            let steps = done.epsilon_stored[0].unwrap().to_string();
            assert_eq!(said.epsilon_stored, steps);
        }
        let failed = &manifest.failed[0];
        // What is published says nothing of where the dataset lies.
        let reason = format!("{}/{}", clean.display(), failed.reason);
        assert_eq!(found.problems, [(failed.id.clone(), reason)]);
    }
}

#[test]
fn an_epsilon_below_one_step_is_a_problem_under_every_normalisation() {
    let folder = tempfile::tempdir().unwrap();
    let (clean, out) = (folder.path().join("clean"), folder.path().join("out"));
    phantoms(&clean, 2, 5);
    for choice in CHOICES {
        let options = normalised(choice, 1e-7);
        let found = dataset(&clean, &options);
        assert_eq!((found.cases.len(), found.problems.len()), (0, 2));
        let error = run(&clean, &out, &options).unwrap_err();
        let PipelineError::NoUsableCase { first, .. } = &error else {
            panic!("{error}")
        };
        assert_eq!(found.problems[0].1, *first);
        assert!(first.contains("stored step"), "{first}");
    }
    assert!(!out.exists());
}

#[test]
fn a_dataset_without_labels_names_the_flag_and_is_usable_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let clean = folder.path().join("clean");
    unlabelled(&clean, 2);
    let found = dataset(&clean, &random(0.05));
    assert_eq!((found.cases.len(), found.problems.len()), (0, 2));
    let named = |text: &String| text.contains("--labels none");
    assert!(found.cautions.iter().any(named), "{:?}", found.cautions);
    let without = ProtectOptions {
        labels: LabelSource::None { classes: 3 },
        ..random(0.05)
    };
    let found = dataset(&clean, &without);
    assert_eq!((found.cases.len(), found.problems.len()), (2, 0));
    assert!(!found.cautions.iter().any(named), "{:?}", found.cautions);
    assert!(found.cases[0].foreground > 0.0);
}

#[test]
fn a_file_is_judged_by_itself_unless_it_is_ct() {
    let folder = tempfile::tempdir().unwrap();
    let clean = folder.path().join("clean");
    phantoms(&clean, 1, 5);
    let image = clean.join("imagesTr/case_000_0000.nii.gz");
    let whole = dataset(&clean, &random(0.05)).cases.remove(0);
    let alone = file(&image, &random(0.05));
    assert_eq!(alone.normalisation, NormalisationChoice::Mri);
    assert_eq!(alone.ranges, whole.ranges);
    assert_eq!(alone.epsilon_stored, whole.epsilon_stored);
    let window = CHOICES[3];
    let alone = file(&image, &normalised(window, 0.0625));
    assert_eq!((alone.ranges[0].lo, alone.ranges[0].hi), (0.0, 2000.0));
    assert_eq!(alone.epsilon_stored, "125");
    let alone = file(&image, &normalised(NormalisationChoice::Ct, 0.05));
    assert!(alone.ranges.is_empty());
    assert!(
        alone.epsilon_stored.contains("whole dataset"),
        "{}",
        alone.epsilon_stored
    );
}

/// Labels are copied byte for byte, with whatever their headers say.
#[test]
fn what_labels_say_beside_their_voxels_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let (clean, plain) = (folder.path().join("clean"), folder.path().join("plain.nii"));
    phantoms(&clean, 1, 5);
    let label = clean.join("labelsTr/case_000.nii.gz");
    StoredVolume::read(&label)
        .unwrap()
        .write_atomic(&plain)
        .unwrap();
    let mut bytes = fs::read(&plain).unwrap();
    bytes[148..228].fill(0);
    bytes[148..156].copy_from_slice(b"Doe^Jane");
    let target = fs::File::create(&label).unwrap();
    let builder = GzBuilder::new().filename("Jane.nii");
    let mut encoder = builder.write(target, Compression::fast());
    encoder.write_all(&bytes).unwrap();
    encoder.finish().unwrap();
    let Inspection::Dataset { warnings, .. } = inspect(&clean, &random(0.05)).unwrap() else {
        panic!("a dataset")
    };
    for said in ["descrip says \"Doe^Jane\"", "file name \"Jane.nii\""] {
        let of_label = |text: &&String| text.contains("labelsTr") && text.contains(said);
        assert_eq!(warnings.iter().filter(of_label).count(), 1, "{warnings:?}");
    }
    let alone = file(&label, &random(0.05)).warnings;
    assert!(
        alone.iter().any(|text| text.contains("Jane.nii")),
        "{alone:?}"
    );
}
