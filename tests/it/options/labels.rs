use std::{fs, path::Path};

use voxshield::{
    data::{Manifest, StoredVolume},
    perturb::Support,
    pipeline::{LabelSource, PipelineError, ProtectOptions},
};

use crate::support::{assert_kept, coded, learned, phantoms, run, unlabelled};

#[test]
fn images_without_labels_are_protected_on_their_intensity_classes() {
    let folder = tempfile::tempdir().unwrap();
    let clean = folder.path().join("clean");
    unlabelled(&clean, 2);
    for (name, options) in [("coded", coded("label-lattices")), ("learned", learned())] {
        let out = folder.path().join(name);
        let options = ProtectOptions {
            labels: LabelSource::None { classes: 2 },
            ..options
        };
        let manifest = run(&clean, &out, &options).unwrap();
        assert_eq!((manifest.cases.len(), manifest.failed.len()), (2, 0));
        assert_eq!(
            manifest.method["labels"],
            serde_json::json!({"none": {"classes": 2}})
        );
        assert!(manifest.cases.iter().all(|case| case.labels.is_empty()));
        assert_kept(&clean, &out);
        assert!(Manifest::read(&out.join("voxshield.json")).is_ok());
    }
}

/// A support of labels is the body then: about the foreground of the phantoms' own labels, and far from everything.
#[test]
fn pseudo_labels_cover_the_body() {
    let folder = tempfile::tempdir().unwrap();
    let (clean, out) = (folder.path().join("clean"), folder.path().join("out"));
    unlabelled(&clean, 1);
    let voxels = |support| {
        let options = ProtectOptions {
            labels: LabelSource::None { classes: 3 },
            support,
            ..coded("checkerboard")
        };
        let out = out.join(support.name());
        run(&clean, &out, &options).unwrap().cases[0].support_voxels
    };
    let (roi, body, full) = (
        voxels(Support::Roi),
        voxels(Support::Body),
        voxels(Support::Full),
    );
    assert!(roi > 0 && roi < full, "{roi} {full}");
    // The body of the stretched image and that of the normalised one differ by little.
    assert!(roi.abs_diff(body) < full / 5, "{roi} {body}");
}

#[test]
fn a_dataset_without_labels_names_the_flag() {
    let folder = tempfile::tempdir().unwrap();
    let (clean, out) = (folder.path().join("clean"), folder.path().join("out"));
    unlabelled(&clean, 2);
    let error = run(&clean, &out, &coded("checkerboard")).unwrap_err();
    assert!(
        matches!(error, PipelineError::NoLabels { cases: 2, .. }),
        "{error}"
    );
    assert!(error.to_string().contains("--labels none"), "{error}");
    assert!(!out.exists());
}

/// Labels that are there are copied all the same.
#[test]
fn label_files_are_not_used_but_published() {
    let folder = tempfile::tempdir().unwrap();
    let (clean, out) = (folder.path().join("clean"), folder.path().join("out"));
    phantoms(&clean, 1, 5);
    let options = ProtectOptions {
        labels: LabelSource::None { classes: 3 },
        ..coded("checkerboard")
    };
    let manifest = run(&clean, &out, &options).unwrap();
    let label = &manifest.cases[0].labels[0].path;
    let bytes = |root: &Path| fs::read(root.join(label)).unwrap();
    assert_eq!(bytes(&clean), bytes(&out));
    assert!(StoredVolume::read(&out.join(label)).is_ok());
    assert_kept(&clean, &out);
}
