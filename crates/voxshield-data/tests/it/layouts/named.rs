//! Layouts told by the names of files and folders.

use std::path::Path;

use voxshield_data::{DataError, LayoutError, Modality, Split};

use super::{Folder, ids, paths, problem};

#[test]
fn brats_never_takes_t1ce_for_t1() {
    for (separator, parts, expected) in [
        (
            '_',
            ["t1ce", "t2", "seg", "flair", "t1"],
            ["flair", "t1", "t1ce", "t2"],
        ),
        (
            '-',
            ["t2w", "t1n", "seg", "t2f", "t1c"],
            ["t1c", "t1n", "t2f", "t2w"],
        ),
    ] {
        let folder = Folder::new();
        for case in ["HGG/BraTS_002", "HGG/BraTS_001", "LGG/BraTS-003-000"] {
            let id = case.split('/').nth(1).unwrap();
            for part in parts {
                folder.volume(&format!("{case}/{id}{separator}{part}.nii.gz"));
            }
        }
        folder.text("name_mapping.csv", "");
        let dataset = folder.discover();
        assert_eq!(dataset.layout, "brats");
        assert_eq!(ids(&dataset), ["BraTS-003-000", "BraTS_001", "BraTS_002"]);
        assert!(dataset.problems.is_empty(), "{:?}", dataset.problems);
        let names: Vec<&str> = dataset.channels.iter().map(|c| c.name.as_str()).collect();
        assert_eq!(names, expected);
        let images = &dataset.case("BraTS_001").unwrap().images;
        for (image, part) in images.iter().zip(expected) {
            let name = format!("HGG/BraTS_001/BraTS_001{separator}{part}.nii.gz");
            assert_eq!(image, Path::new(&name));
        }
        assert_eq!(dataset.auxiliary, paths(&["name_mapping.csv"]));
    }
}

#[test]
fn brats_problems() {
    let folder = Folder::new();
    let all = ["flair", "t1", "t1ce", "t2", "seg"];
    for part in all {
        folder.volume(&format!("a/good_{part}.nii.gz"));
        folder.volume(&format!("b/good_{part}.nii.gz"));
    }
    for part in ["flair", "t1ce", "t2", "seg"] {
        folder.volume(&format!("not1_{part}.nii.gz"));
    }
    for part in &all[..4] {
        folder.volume(&format!("noseg_{part}.nii.gz"));
        folder.volume(&format!("Validation/val_{part}.nii.gz"));
    }
    folder.volume("good_other.nii.gz");
    let dataset = folder.discover();
    assert_eq!(ids(&dataset), ["good", "val"]);
    assert_eq!(dataset.case("val").unwrap().split, Split::Test);
    let error = |path: &str| &*problem(&dataset, path).error;
    assert!(matches!(
        error("b/good_flair.nii.gz"),
        DataError::Layout(LayoutError::DuplicateCase { .. })
    ));
    assert!(matches!(
        error("not1_flair.nii.gz"),
        DataError::Layout(LayoutError::Channels { .. })
    ));
    assert!(matches!(
        error("noseg_flair.nii.gz"),
        DataError::Layout(LayoutError::MissingLabel { .. })
    ));
    assert!(matches!(
        error("good_other.nii.gz"),
        DataError::Layout(LayoutError::UnexpectedFile { .. })
    ));
    assert_eq!(dataset.problems.len(), 4);
}

#[test]
fn a_second_unlabelled_case_of_an_id_is_a_problem() {
    let folder = Folder::new();
    for visit in ["visit1", "visit2"] {
        for part in ["flair", "t1", "t1ce", "t2"] {
            folder.volume(&format!("{visit}/P1_{part}.nii.gz"));
        }
    }
    let dataset = folder.discover();
    assert!(dataset.cases.is_empty());
    let dataset = dataset.without_need_of_labels();
    assert_eq!(ids(&dataset), ["P1"]);
    let first = "visit1/P1_flair.nii.gz";
    assert_eq!(dataset.cases[0].images[0], Path::new(first));
    assert_eq!(dataset.problems.len(), 1, "{:?}", dataset.problems);
    let error = &problem(&dataset, "visit2/P1_flair.nii.gz").error;
    assert!(
        matches!(
            **error,
            DataError::Layout(LayoutError::DuplicateCase { .. })
        ),
        "{error}"
    );
    for file in [first, "visit2/P1_flair.nii.gz"] {
        assert!(error.to_string().contains(file), "{error}");
    }
}

#[test]
fn flare_side_by_side_or_apart() {
    for (images, labels) in [
        ("", ""),
        ("TrainingImg/", "TrainingMask/"),
        ("images/", "labels/"),
    ] {
        let folder = Folder::new();
        for case in ["train_002", "train_001"] {
            folder.volume(&format!("{images}{case}_0000.nii.gz"));
            folder.volume(&format!("{labels}{case}.nii.gz"));
        }
        folder.volume(&format!("{images}train_003_0000.nii.gz"));
        folder.volume(&format!("{labels}train_004.nii.gz"));
        folder.volume("ValidationImg/val_001_0000.nii.gz");
        let dataset = folder.discover();
        assert_eq!(dataset.layout, "flare", "{images}");
        assert_eq!(ids(&dataset), ["train_001", "train_002", "val_001"]);
        let case = dataset.case("train_001").unwrap();
        assert_eq!(
            case.images,
            paths(&[&format!("{images}train_001_0000.nii.gz")])
        );
        assert_eq!(case.label, Some(format!("{labels}train_001.nii.gz").into()));
        assert_eq!(dataset.case("val_001").unwrap().split, Split::Test);
        // By its folders; other data with such names may be MR.
        let known = (images == "TrainingImg/").then_some(Modality::Ct);
        assert_eq!(dataset.channels[0].modality, known);
        assert_eq!(dataset.stated_channels(), known.map(|_| 1));
        let error = |path: String| &*problem(&dataset, &path).error;
        assert!(matches!(
            error(format!("{images}train_003_0000.nii.gz")),
            DataError::Layout(LayoutError::MissingLabel { .. })
        ));
        assert!(matches!(
            error(format!("{labels}train_004.nii.gz")),
            DataError::Layout(LayoutError::MissingImage { .. })
        ));
        assert_eq!(dataset.problems.len(), 2);
    }
}

#[test]
fn flare_cases_whose_names_end_in_a_number() {
    for (images, labels) in [("", ""), ("images/", "labels/")] {
        let folder = Folder::new();
        // As FLARE22, FLARE23 and their tuning cases are called; the first number of all is zero.
        let cases = ["FLARE22_Tr_0000", "FLARE22_Tr_0001", "FLARE23_0002"];
        for case in cases.iter().chain(&["FLARETs_0003"]) {
            folder.volume(&format!("{images}{case}_0000.nii.gz"));
            folder.volume(&format!("{labels}{case}.nii.gz"));
        }
        folder.volume(&format!("{images}FLARE22_Tr_0004_0000.nii.gz"));
        folder.volume(&format!("{labels}FLARE22_Tr_0005.nii.gz"));
        folder.volume(&format!("{images}FLARE22_Tr_0001_0001.nii.gz"));
        let dataset = folder.discover();
        assert_eq!(dataset.layout, "flare", "{images}");
        assert_eq!(dataset.channels[0].modality, Some(Modality::Ct));
        assert_eq!(
            ids(&dataset),
            [&cases[..], &["FLARETs_0003"]].concat(),
            "{:?}",
            dataset.problems
        );
        for case in &dataset.cases {
            let id = &case.id;
            assert_eq!(case.images, paths(&[&format!("{images}{id}_0000.nii.gz")]));
            assert_eq!(case.label, Some(format!("{labels}{id}.nii.gz").into()));
        }
        let error = |path: String| &*problem(&dataset, &path).error;
        assert!(matches!(
            error(format!("{images}FLARE22_Tr_0004_0000.nii.gz")),
            DataError::Layout(LayoutError::MissingLabel { .. })
        ));
        // Its own number is not taken for a channel.
        let orphan = error(format!("{labels}FLARE22_Tr_0005.nii.gz"));
        assert!(
            matches!(
                orphan,
                DataError::Layout(LayoutError::MissingImage { expected, .. })
                    if expected == "FLARE22_Tr_0005_0000.nii.gz"
            ),
            "{orphan}"
        );
        assert!(matches!(
            error(format!("{images}FLARE22_Tr_0001_0001.nii.gz")),
            DataError::Layout(LayoutError::Channels { .. })
        ));
        assert_eq!(dataset.problems.len(), 3, "{:?}", dataset.problems);
    }
}

#[test]
fn plain_folders_with_any_ending() {
    let folder = Folder::new();
    folder
        .volumes(&[
            "images/a.nii",
            "labels/a.nii.gz",
            "images/b.hdr",
            "labels/b.hdr",
        ])
        .volumes(&[
            "images/c.nii.gz",
            "images/d.nii",
            "images/d.nii.gz",
            "labels/d.nii",
        ])
        .volumes(&[
            "labels/e.nii.gz",
            "images/f.hdr",
            "labels/f.nii",
            "images/deep/g.nii",
        ]);
    std::fs::remove_file(folder.path().join("images/f.img")).unwrap();
    let dataset = folder.discover();
    assert_eq!(dataset.layout, "plain");
    assert_eq!(ids(&dataset), ["a", "b", "d"]);
    assert_eq!(dataset.case("b").unwrap().images, paths(&["images/b.hdr"]));
    let error = |path: &str| &*problem(&dataset, path).error;
    assert!(matches!(
        error("images/c.nii.gz"),
        DataError::Layout(LayoutError::MissingLabel { .. })
    ));
    assert!(matches!(
        error("images/d.nii.gz"),
        DataError::Layout(LayoutError::DuplicateCase { .. })
    ));
    assert!(matches!(
        error("labels/e.nii.gz"),
        DataError::Layout(LayoutError::MissingImage { .. })
    ));
    assert!(matches!(
        error("images/f.hdr"),
        DataError::MissingPair { .. }
    ));
    assert!(matches!(
        error("images/deep/g.nii"),
        DataError::Layout(LayoutError::UnexpectedFile { .. })
    ));
    assert_eq!(dataset.problems.len(), 5, "{:?}", dataset.problems);
    assert!(dataset.auxiliary.is_empty());
}

/// As FLARE22's pseudo-labels beside its labels.
#[test]
fn two_folders_with_a_label_of_an_image_are_ambiguous() {
    let folder = Folder::new();
    folder.volumes(&[
        "images/a_0000.nii.gz",
        "labels/a.nii.gz",
        "images/b_0000.nii.gz",
        "labels/b.nii.gz",
        "aladdin5-pseudo/b.nii.gz",
        "c_0000.nii.gz",
        "c.nii.gz",
        "labels/c.nii.gz",
    ]);
    let dataset = folder.discover();
    // A label in the image's own folder is nearer than all others.
    assert_eq!(ids(&dataset), ["a", "c"]);
    assert_eq!(dataset.case("c").unwrap().label, Some("c.nii.gz".into()));
    let error = &problem(&dataset, "images/b_0000.nii.gz").error;
    assert!(
        matches!(
            **error,
            DataError::Layout(LayoutError::AmbiguousLabel { .. })
        ),
        "{error}"
    );
    for file in ["labels/b.nii.gz", "aladdin5-pseudo/b.nii.gz"] {
        assert!(error.to_string().contains(file), "{error}");
    }
    // The label of `c` that was not taken.
    problem(&dataset, "labels/c.nii.gz");
    assert_eq!(dataset.problems.len(), 2, "{:?}", dataset.problems);
}
