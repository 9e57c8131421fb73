//! Datasets that are not what they seem, or hold what is easily overlooked.

use std::{fs, path::Path, time::Duration};

use ndarray::Array3;
use voxshield::{
    data::{Affine, LabelMap, Manifest, Modality, NewVoxels, Normalisation, Volume, write_new},
    perturb::Support,
    pipeline::{
        Inspection, LabelSource, NormalisationChoice, PipelineError, ProtectEvent, ProtectOptions,
        ScanEvent, inspect, preview, protect,
    },
};

use crate::support::{assert_kept, phantoms, random, run};

const SIDE: usize = 10;

fn save<'a>(root: &Path, name: &str, voxels: impl Into<NewVoxels<'a>>) {
    let path = root.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    write_new(&path, voxels, &Affine::from_spacing([1.0; 3])).unwrap();
}

/// Half of the volume is labelled.
fn half() -> Array3<u8> {
    Array3::from_shape_fn([SIDE; 3], |(i, _, _)| u8::from(i > 4))
}

/// Whole numbers from `least` to `least + 59`.
fn varied(least: i16) -> Array3<i16> {
    Array3::from_shape_fn([SIDE; 3], |(i, j, k)| {
        least + ((7 * i + 11 * j + 13 * k) % 60) as i16
    })
}

/// A case of the plain layout with an int16 image.
fn plain(root: &Path, id: &str, image: &Array3<i16>, label: &Array3<u8>) {
    save(root, &format!("images/{id}.nii.gz"), image.view());
    save(root, &format!("labels/{id}.nii.gz"), label.view());
}

fn windowed(epsilon: f64, lo: f64, hi: f64) -> ProtectOptions {
    ProtectOptions {
        normalisation: NormalisationChoice::Window { lo, hi },
        ..random(epsilon)
    }
}

/// The manifest, and what was warned of while the dataset was read.
fn warned(
    clean: &Path,
    out: &Path,
    options: &ProtectOptions,
) -> (Result<Manifest, PipelineError>, Vec<String>) {
    let mut warnings = Vec::new();
    let manifest = protect(clean, out, options, &mut |event| {
        if let ProtectEvent::Scan(ScanEvent::Warning(text)) = event {
            warnings.push(text);
        }
    });
    (manifest, warnings)
}

#[test]
fn a_label_with_the_voxels_of_the_image_is_never_published() {
    let folder = tempfile::tempdir().unwrap();
    let clean = folder.path().join("clean");
    plain(&clean, "good", &varied(100), &half());
    save(&clean, "images/copy.nii.gz", varied(100).view());
    // The same numbers as another datatype: other bytes.
    let floats = varied(100).mapv(f32::from);
    save(&clean, "labels/copy.nii.gz", floats.view());
    for labels in [LabelSource::Files, LabelSource::None { classes: 2 }] {
        let out = folder.path().join(labels.to_string().replace(':', "-"));
        let options = ProtectOptions {
            labels,
            ..random(0.05)
        };
        let manifest = run(&clean, &out, &options).unwrap();
        assert_eq!(manifest.cases.len(), 1);
        let reason = &manifest.failed[0].reason;
        assert!(reason.contains("has the voxels of channel 0"), "{reason}");
        assert!(out.join("labels/good.nii.gz").exists());
        assert!(!out.join("labels/copy.nii.gz").exists());
        assert_kept(&clean, &out);
    }
}

/// Where epsilon is a whole number of steps, every voxel with room for them moves by all of them.
#[test]
fn a_window_of_whole_steps_loses_none() {
    let folder = tempfile::tempdir().unwrap();
    let clean = folder.path().join("clean");
    let image = Array3::from_shape_fn([SIDE; 3], |(i, j, k)| {
        ((7 * i + 11 * j + 13 * k) % 256) as u8
    });
    save(&clean, "images/a.nii.gz", image.view());
    save(&clean, "labels/a.nii.gz", half().view());
    for steps in [1u8, 4, 8] {
        let out = folder.path().join(steps.to_string());
        let mut options = windowed(f64::from(steps) / 255.0, 0.0, 255.0);
        options.support = Support::Full;
        let manifest = run(&clean, &out, &options).unwrap();
        assert_eq!(manifest.cases[0].epsilon_stored, [Some(i64::from(steps))]);
        let open = |root: &Path| {
            Volume::open(&[root.join("images/a.nii.gz")])
                .unwrap()
                .array()
        };
        let steps = f32::from(steps);
        let mut moved = 0;
        for (&old, &new) in open(&clean).iter().zip(&open(&out)) {
            let (up, down) = ((old + steps).min(255.0), (old - steps).max(0.0));
            assert!(new == up || new == down, "{steps}: {old} to {new}");
            moved += usize::from((new - old).abs() == steps);
        }
        assert!(moved > 900, "{moved}");
        assert_kept(&clean, &out);
    }
}

/// An nnU-Net dataset of one case.
fn nnunet(root: &Path, channels: &str, labels: &str, label: &Array3<u8>) {
    let json = format!(
        r#"{{"channel_names": {channels}, "labels": {labels}, "numTraining": 1, "file_ending": ".nii.gz"}}"#
    );
    save(root, "labelsTr/a.nii.gz", label.view());
    fs::write(root.join("dataset.json"), json).unwrap();
}

/// One of two MR channels, of which the images are still to come.
fn two_channels(root: &Path) {
    let (channels, labels) = (r#"{"0": "T1", "1": "T2"}"#, r#"{"background": 0, "x": 1}"#);
    nnunet(root, channels, labels, &half());
}

#[test]
fn a_channel_in_which_nothing_changes_is_not_protected_by_the_other() {
    let folder = tempfile::tempdir().unwrap();
    let (clean, out) = (folder.path().join("clean"), folder.path().join("out"));
    two_channels(&clean);
    // A thousandth is lost in the rounding of a million, not in that of a hundred.
    let small = varied(100).mapv(|v| f32::from(v) + 0.25);
    save(&clean, "imagesTr/a_0000.nii.gz", small.view());
    let large = varied(100).mapv(|v| f32::from(v) + 1e6);
    save(&clean, "imagesTr/a_0001.nii.gz", (large + 0.25).view());
    let manifest = run(&clean, &out, &windowed(1e-6, 0.0, 1000.0)).unwrap();
    assert!(manifest.cases.is_empty());
    let reason = &manifest.failed[0].reason;
    assert!(
        reason.contains("a_0001.nii.gz: channel 1: no voxel of the support"),
        "{reason}"
    );
}

#[test]
fn a_protected_dataset_is_not_protected_again() {
    let folder = tempfile::tempdir().unwrap();
    let (clean, out) = (folder.path().join("clean"), folder.path().join("out"));
    phantoms(&clean, 1, 5);
    run(&clean, &out, &random(0.05)).unwrap();
    let twice = folder.path().join("twice");
    let error = run(&out, &twice, &random(0.05)).unwrap_err();
    assert!(
        matches!(error, PipelineError::AlreadyProtected { .. }),
        "{error}"
    );
    assert!(!twice.exists());
    let scratch = folder.path();
    let trial = preview(
        &out,
        "case_000",
        scratch,
        &random(0.05),
        Duration::ZERO,
        &mut |_| {},
    );
    assert!(matches!(trial, Err(PipelineError::AlreadyProtected { .. })));
    let said = |root: &Path| match inspect(root, &random(0.05)).unwrap() {
        Inspection::Dataset { cautions, .. } => cautions.join("\n"),
        found => panic!("{found:?}"),
    };
    assert!(said(&out).contains("give the clean dataset"));
    assert!(!said(&clean).contains("give the clean dataset"));
}

#[test]
fn where_nobody_has_labelled_nothing_changes_and_there_is_no_class() {
    let folder = tempfile::tempdir().unwrap();
    let clean = folder.path().join("clean");
    let label = Array3::from_shape_fn(
        [SIDE; 3],
        |(i, j, _)| {
            if j < 3 { 2 } else { u8::from(i > 4) }
        },
    );
    nnunet(
        &clean,
        r#"{"0": "T1"}"#,
        r#"{"background": 0, "x": 1, "ignore": 2}"#,
        &label,
    );
    save(&clean, "imagesTr/a_0000.nii.gz", varied(100).view());
    for support in [Support::Roi, Support::Full, Support::Body] {
        let out = folder.path().join(support.name());
        let options = ProtectOptions {
            support,
            ..random(0.05)
        };
        let mut classes = Vec::new();
        protect(&clean, &out, &options, &mut |event| {
            if let ProtectEvent::Scanned(scanned) = event {
                classes.clone_from(&scanned.classes);
            }
        })
        .unwrap();
        assert_eq!(classes, [0, 1]);
        let open = |root: &Path| {
            let path = root.join("imagesTr/a_0000.nii.gz");
            Volume::open(&[path]).unwrap().array()
        };
        let labels = LabelMap::open(&clean.join("labelsTr/a.nii.gz")).unwrap();
        let mut changed = [0; 3];
        for ((old, new), label) in open(&clean).iter().zip(&open(&out)).zip(labels.values()) {
            changed[usize::from(label)] += usize::from(old != new);
        }
        assert!(
            changed[1] > 0 && changed[2] == 0,
            "{} {changed:?}",
            support.name()
        );
        assert_kept(&clean, &out);
    }
}

#[test]
fn the_modality_that_most_cases_suggest_is_that_of_all() {
    let folder = tempfile::tempdir().unwrap();
    let (clean, out) = (folder.path().join("clean"), folder.path().join("out"));
    for id in ["a", "b", "odd"] {
        let mut image = varied(1000);
        if id == "odd" {
            image[[0, 0, 0]] = -600;
        }
        plain(&clean, id, &image, &half());
    }
    let (manifest, warnings) = warned(&clean, &out, &random(0.05));
    let manifest = manifest.unwrap();
    assert_eq!(manifest.cases.len(), 3);
    let [record] = manifest.normalisation.as_slice() else {
        panic!("{:?}", manifest.normalisation)
    };
    assert_eq!(record.modality, Some(Modality::Mri));
    assert_eq!(record.normalisation, Normalisation::Mri);
    assert!(
        warnings
            .iter()
            .any(|text| text.contains("look like CT (odd)")),
        "{warnings:?}"
    );
    assert_kept(&clean, &out);
}

#[test]
fn one_voxel_that_makes_the_budget_is_warned_of() {
    let folder = tempfile::tempdir().unwrap();
    let (clean, out) = (folder.path().join("clean"), folder.path().join("out"));
    plain(&clean, "calm", &varied(100), &half());
    let mut spiked = varied(100);
    spiked[[0, 1, 2]] = 32_000;
    plain(&clean, "spiked", &spiked, &half());
    let (manifest, warnings) = warned(&clean, &out, &random(0.05));
    assert_eq!(manifest.unwrap().cases.len(), 2);
    let [warning] = warnings.as_slice() else {
        panic!("{warnings:?}")
    };
    assert!(warning.starts_with("case spiked: channel 0"), "{warning}");
    assert!(warning.contains("window:LO,HI"), "{warning}");
}

/// Labels of equal voxels give no range: an error of the cases, and no end of the job.
#[test]
fn a_constant_foreground_of_ct_is_an_error_of_the_cases() {
    let folder = tempfile::tempdir().unwrap();
    let (clean, out) = (folder.path().join("clean"), folder.path().join("out"));
    let image = Array3::from_shape_fn([SIDE; 3], |(i, j, k)| {
        if i > 4 {
            40
        } else {
            -((i + j + k) as i16) * 100
        }
    });
    plain(&clean, "a", &image, &half());
    let options = ProtectOptions {
        normalisation: NormalisationChoice::Ct,
        ..random(0.05)
    };
    let error = run(&clean, &out, &options).unwrap_err();
    let PipelineError::NoUsableCase {
        failed: 1, first, ..
    } = &error
    else {
        panic!("{error}")
    };
    assert!(first.contains("no usable foreground"), "{first}");
}

#[test]
fn the_channels_are_those_of_the_dataset_not_of_its_first_case() {
    let folder = tempfile::tempdir().unwrap();
    let (clean, out) = (folder.path().join("clean"), folder.path().join("out"));
    let mut list = Vec::new();
    for id in ["a", "b", "c"] {
        let both = [varied(100), varied(300)].map(|channel| channel.insert_axis(ndarray::Axis(3)));
        let both = ndarray::concatenate(ndarray::Axis(3), &[both[0].view(), both[1].view()]);
        let name = format!("imagesTr/{id}.nii.gz");
        match id {
            "a" => save(&clean, &name, varied(100).view()),
            _ => save(&clean, &name, both.unwrap().view()),
        }
        save(&clean, &format!("labelsTr/{id}.nii.gz"), half().view());
        list.push(format!(
            r#"{{"image": "imagesTr/{id}.nii.gz", "label": "labelsTr/{id}.nii.gz"}}"#
        ));
    }
    let json = format!(
        r#"{{"modality": {{"0": "T1", "1": "T2"}}, "training": [{}]}}"#,
        list.join(", ")
    );
    fs::write(clean.join("dataset.json"), json).unwrap();
    let manifest = run(&clean, &out, &random(0.05)).unwrap();
    let ids: Vec<&str> = manifest.cases.iter().map(|case| case.id.as_str()).collect();
    assert_eq!(ids, ["b", "c"]);
    let reason = &manifest.failed[0].reason;
    assert!(reason.contains("expected 2 channels"), "{reason}");
}

/// As rounded by two programs: taken, with a word about it.
#[test]
fn channels_a_little_apart_are_warned_of() {
    let folder = tempfile::tempdir().unwrap();
    let (clean, out) = (folder.path().join("clean"), folder.path().join("out"));
    two_channels(&clean);
    save(&clean, "imagesTr/a_0000.nii.gz", varied(100).view());
    let mut rows = Affine::from_spacing([1.0; 3]).rows();
    rows[0][3] = 0.01;
    let second = clean.join("imagesTr/a_0001.nii.gz");
    write_new(&second, varied(300).view(), &Affine::new(rows)).unwrap();
    let (manifest, warnings) = warned(&clean, &out, &random(0.05));
    assert_eq!(manifest.unwrap().cases.len(), 1);
    assert!(
        warnings.iter().any(|text| text.contains("0.010 mm")),
        "{warnings:?}"
    );
    assert_kept(&clean, &out);
}
