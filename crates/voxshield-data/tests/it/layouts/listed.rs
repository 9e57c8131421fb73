//! Layouts with a `dataset.json`.

use voxshield_data::{DataError, LayoutError, Modality, Split, discover};

use super::{Folder, ids, paths, problem};

const NNUNET: &str = r#"{"channel_names": {"1": "T2", "0": "CT"}, "file_ending": ".nii.gz",
    "labels": {"background": 0, "whole": [1, 2], "core": [2]}, "numTraining": 2}"#;

#[test]
fn nnunet_v2() {
    let folder = Folder::new();
    folder
        .volumes(&[
            "imagesTr/b_0001.nii.gz",
            "imagesTr/b_0000.nii.gz",
            "imagesTr/A_0000.nii.gz",
            "imagesTr/A_0001.nii.gz",
            "labelsTr/A.nii.gz",
            "labelsTr/b.nii.gz",
            "imagesTs/t_0000.nii.gz",
            "imagesTs/t_0001.nii.gz",
            "imagesTs/u_0000.nii.gz",
            "imagesTs/u_0001.nii.gz",
            "labelsTs/u.nii.gz",
        ])
        .text("dataset.json", NNUNET)
        .text("LICENSE", "")
        .text(".hidden", "");
    let dataset = folder.discover();
    assert_eq!(dataset.layout, "nnunet-v2");
    assert_eq!(ids(&dataset), ["A", "b", "t", "u"]);
    assert!(dataset.problems.is_empty(), "{:?}", dataset.problems);
    let names: Vec<_> = dataset
        .channels
        .iter()
        .map(|c| (c.name.as_str(), c.modality))
        .collect();
    assert_eq!(
        names,
        [("CT", Some(Modality::Ct)), ("T2", Some(Modality::Mri))]
    );
    assert_eq!(dataset.labels[&1], "whole");
    assert_eq!(dataset.labels[&2], "core + whole");
    let case = dataset.case("b").unwrap();
    assert_eq!(
        case.images,
        paths(&["imagesTr/b_0000.nii.gz", "imagesTr/b_0001.nii.gz"])
    );
    assert_eq!(case.label, Some("labelsTr/b.nii.gz".into()));
    assert_eq!(case.split, Split::Train);
    assert_eq!(
        (
            dataset.case("t").unwrap().split,
            &dataset.case("t").unwrap().label
        ),
        (Split::Test, &None)
    );
    assert!(dataset.case("u").unwrap().label.is_some());
    assert_eq!(dataset.auxiliary, paths(&["LICENSE", "dataset.json"]));
}

#[test]
fn nnunet_problems_leave_the_other_cases_alone() {
    let folder = Folder::new();
    folder
        .volumes(&[
            "imagesTr/good_0000.nii.gz",
            "labelsTr/good.nii.gz",
            "imagesTr/nolabel_0000.nii.gz",
            "labelsTr/noimage.nii.gz",
            "imagesTr/extra_0000.nii.gz",
            "imagesTr/extra_0001.nii.gz",
            "labelsTr/extra.nii.gz",
            "imagesTr/twice_0000.nii.gz",
            "imagesTr/twice_0000.nii",
            "labelsTr/twice.nii.gz",
            "imagesTr/unnumbered.nii.gz",
            "predictions/good.nii.gz",
        ])
        .text(
            "dataset.json",
            r#"{"channel_names": {"0": "MRI"}, "labels": {"a": 1}}"#,
        )
        .text("raw.npz", "");
    let dataset = folder.discover();
    assert_eq!(ids(&dataset), ["good", "twice"]);
    let is = |path: &str, check: fn(&DataError) -> bool| {
        let problem = problem(&dataset, path);
        assert!(check(&problem.error), "{}", problem.error);
        let name = path.rsplit('/').next().unwrap();
        assert!(
            problem.error.to_string().contains(name),
            "{}",
            problem.error
        );
    };
    is("imagesTr/nolabel_0000.nii.gz", |e| {
        matches!(e, DataError::Layout(LayoutError::MissingLabel { .. }))
    });
    is("labelsTr/noimage.nii.gz", |e| {
        matches!(e, DataError::Layout(LayoutError::MissingImage { .. }))
    });
    is("imagesTr/extra_0000.nii.gz", |e| {
        matches!(e, DataError::Layout(LayoutError::Channels { .. }))
    });
    is("imagesTr/twice_0000.nii.gz", |e| {
        matches!(e, DataError::Layout(LayoutError::DuplicateCase { .. }))
    });
    is("imagesTr/unnumbered.nii.gz", |e| {
        matches!(e, DataError::Layout(LayoutError::UnexpectedFile { .. }))
    });
    is("predictions/good.nii.gz", |e| {
        matches!(e, DataError::Layout(LayoutError::UnexpectedFile { .. }))
    });
    is("raw.npz", |e| {
        matches!(e, DataError::Layout(LayoutError::UnexpectedFile { .. }))
    });
    assert_eq!(dataset.problems.len(), 7, "{:?}", dataset.problems);
    assert_eq!(dataset.auxiliary, paths(&["dataset.json"]));
}

#[test]
fn a_case_of_one_split_does_not_hide_in_the_other() {
    let folder = Folder::new();
    folder
        .volumes(&[
            "imagesTr/a_0000.nii",
            "labelsTr/a.nii",
            "imagesTs/a_0000.nii",
        ])
        .text(
            "dataset.json",
            r#"{"channel_names": {"0": "CT"}, "labels": {}}"#,
        );
    let dataset = folder.discover();
    assert_eq!(dataset.case("a").unwrap().split, Split::Train);
    let problem = problem(&dataset, "imagesTs/a_0000.nii");
    assert!(matches!(
        *problem.error,
        DataError::Layout(LayoutError::DuplicateCase { .. })
    ));
}

#[test]
fn a_test_case_with_the_id_of_an_unlabelled_one_is_a_problem() {
    let folder = Folder::new();
    folder
        .volumes(&["imagesTr/a_0000.nii", "imagesTs/a_0000.nii"])
        .text(
            "dataset.json",
            r#"{"channel_names": {"0": "CT"}, "labels": {}}"#,
        );
    let dataset = folder.discover().without_need_of_labels();
    assert_eq!(ids(&dataset), ["a"]);
    assert_eq!(dataset.cases[0].split, Split::Train);
    let error = &problem(&dataset, "imagesTs/a_0000.nii").error;
    assert!(
        matches!(
            **error,
            DataError::Layout(LayoutError::DuplicateCase { .. })
        ),
        "{error}"
    );
    assert!(error.to_string().contains("imagesTr"), "{error}");
}

#[test]
fn nnunet_version_1_with_its_list_of_pairs() {
    let folder = Folder::new();
    folder
        .volumes(&["imagesTr/a_0000.nii.gz", "labelsTr/a.nii.gz"])
        .text(
            "dataset.json",
            r#"{"modality": {"0": "CT"}, "labels": {"0": "background", "1": "liver"},
            "training": [{"image": "./imagesTr/a.nii.gz", "label": "./labelsTr/a.nii.gz"}]}"#,
        );
    let dataset = folder.discover();
    assert_eq!(dataset.layout, "nnunet-v2");
    assert_eq!(ids(&dataset), ["a"]);
    assert_eq!(dataset.labels[&1], "liver");
}

#[test]
fn damaged_dataset_json_is_named() {
    for content in [
        "{",
        "[]",
        r#"{"labels": {}}"#,
        r#"{"channel_names": {"1": "CT"}}"#,
        r#"{"channel_names": []}"#,
        r#"{"channel_names": {"0": "CT"}, "labels": {"a": 1.5}}"#,
        r#"{"channel_names": {"0": "CT"}, "labels": {"a": 70000}}"#,
        r#"{"channel_names": {"0": "RGB"}, "file_ending": ".png"}"#,
    ] {
        let folder = Folder::new();
        folder
            .volumes(&["imagesTr/a_0000.nii", "labelsTr/a.nii"])
            .text("dataset.json", content);
        let error = discover(folder.path()).unwrap_err();
        assert!(
            matches!(error, DataError::Json { .. }),
            "{content}: {error}"
        );
        assert!(error.to_string().contains("dataset.json"), "{error}");
    }
}

#[test]
fn decathlon() {
    let folder = Folder::new();
    folder
        .volumes(&["imagesTr/h_2.nii.gz", "labelsTr/h_2.nii.gz", "imagesTr/h_1.nii.gz", "labelsTr/h_1.nii.gz"])
        .volumes(&["imagesTs/h_3.nii.gz", "imagesTr/stray.nii.gz"])
        .text(
            "dataset.json",
            r#"{"modality": {"0": "FLAIR", "1": "T1w"}, "labels": {"0": "background", "2": "Posterior"},
            "training": [{"image": "./imagesTr/h_2.nii.gz", "label": "./labelsTr/h_2.nii.gz"},
                {"image": "imagesTr/h_1.nii.gz", "label": "labelsTr/h_1.nii.gz"},
                {"image": "./imagesTr/gone.nii.gz", "label": "./labelsTr/gone.nii.gz"},
                {"image": "../h_4.nii.gz", "label": "/etc/passwd"},
                {"image": "./imagesTr/h_1.nii.gz", "label": "./labelsTr/h_1.nii.gz"}],
            "test": ["./imagesTs/h_3.nii.gz"]}"#,
        );
    let dataset = folder.discover();
    assert_eq!(dataset.layout, "decathlon");
    assert_eq!(ids(&dataset), ["h_1", "h_2", "h_3"]);
    assert_eq!(dataset.channels.len(), 2);
    assert_eq!(dataset.labels[&2], "Posterior");
    assert_eq!(
        dataset.case("h_2").unwrap().label,
        Some("labelsTr/h_2.nii.gz".into())
    );
    assert_eq!(dataset.case("h_3").unwrap().split, Split::Test);
    let error = |path: &str| problem(&dataset, path).error.to_string();
    assert!(error("imagesTr/gone.nii.gz").contains("dataset.json"));
    assert!(error("../h_4.nii.gz").contains("relative path"));
    assert!(error("imagesTr/h_1.nii.gz").contains("already taken"));
    assert!(error("imagesTr/stray.nii.gz").contains("no case"));
    assert_eq!(dataset.problems.len(), 4);
}

#[cfg(target_os = "linux")]
#[test]
fn decathlon_entries_that_no_manifest_can_hold_are_one_problem_each() {
    let folder = Folder::new();
    folder
        .volumes(&["imagesTr/a.nii", "labelsTr/a.nii"])
        .volumes(&["imagesTr/b:c.nii", "labelsTr/b:c.nii"])
        .text(
            "dataset.json",
            r#"{"training": [{"image": "./imagesTr/a.nii", "label": "./labelsTr/a.nii"},
                {"image": "./imagesTr/b:c.nii", "label": "./labelsTr/b:c.nii"}]}"#,
        );
    let dataset = folder.discover();
    assert_eq!(ids(&dataset), ["a"]);
    assert_eq!(dataset.problems.len(), 1, "{:?}", dataset.problems);
    let error = &dataset.problems[0].error;
    assert!(matches!(**error, DataError::UnsafePath { .. }), "{error}");
    assert!(error.to_string().contains("rename the file"), "{error}");
}

#[test]
fn decathlon_entries_of_another_shape_are_refused() {
    for training in [
        r#"{"a": 1}"#,
        "[3]",
        r#"[{"label": "x.nii"}]"#,
        r#"[{"image": "a.nii", "label": 3}]"#,
    ] {
        let folder = Folder::new();
        folder
            .volume("imagesTr/a.nii")
            .text("dataset.json", &format!(r#"{{"training": {training}}}"#));
        let error = discover(folder.path()).unwrap_err();
        assert!(
            matches!(error, DataError::Json { .. }),
            "{training}: {error}"
        );
    }
}

#[test]
fn listed_labels_that_are_images_are_refused() {
    let folder = Folder::new();
    folder
        .volumes(&[
            "imagesTr/a.nii",
            "labelsTr/a.nii",
            "imagesTr/b.nii",
            "imagesTr/c.nii",
        ])
        .text(
            "dataset.json",
            r#"{"training": [{"image": "imagesTr/a.nii", "label": "labelsTr/a.nii"},
                {"image": "imagesTr/b.nii", "label": "./imagesTr/b.nii"},
                {"image": "imagesTr/c.nii", "label": "imagesTr/a.nii"}]}"#,
        );
    let dataset = folder.discover();
    assert_eq!(ids(&dataset), ["a"]);
    for label in ["imagesTr/b.nii", "imagesTr/a.nii"] {
        let error = &problem(&dataset, label).error;
        assert!(
            matches!(**error, DataError::Layout(LayoutError::LabelIsImage { .. })),
            "{error}"
        );
    }
}

/// As in AMOS: the number is the case's.
#[test]
fn a_decathlon_list_of_names_with_four_digits_is_one() {
    let folder = Folder::new();
    folder
        .volumes(&["imagesTr/amos_0001.nii", "labelsTr/amos_0001.nii"])
        .volumes(&["imagesTr/amos_0004.nii", "labelsTr/amos_0004.nii"])
        .text(
            "dataset.json",
            r#"{"modality": {"0": "CT"}, "labels": {"0": "background", "1": "spleen"},
            "training": [{"image": "./imagesTr/amos_0001.nii", "label": "./labelsTr/amos_0001.nii"},
                {"image": "./imagesTr/amos_0004.nii", "label": "./labelsTr/amos_0004.nii"}]}"#,
        );
    let dataset = folder.discover();
    assert_eq!(dataset.layout, "decathlon");
    assert_eq!(ids(&dataset), ["amos_0001", "amos_0004"]);
    assert!(dataset.problems.is_empty(), "{:?}", dataset.problems);
}

/// A list that some converters write beside nnU-Net's own entries.
#[test]
fn a_list_of_channels_leaves_a_dataset_nnunets() {
    let folder = Folder::new();
    folder
        .volumes(&["imagesTr/a_0000.nii", "imagesTr/a_0001.nii", "labelsTr/a.nii"])
        .text(
            "dataset.json",
            r#"{"channel_names": {"0": "T1", "1": "T2"}, "labels": {"background": 0, "x": 1, "ignore": 2},
            "training": [{"image": "imagesTr/a_0000.nii", "label": "labelsTr/a.nii"}]}"#,
        );
    let dataset = folder.discover();
    assert_eq!(dataset.layout, "nnunet-v2");
    assert_eq!(ids(&dataset), ["a"]);
    assert_eq!(dataset.stated_channels(), Some(2));
    assert_eq!(dataset.ignored_label(), Some(2));
}

#[test]
fn a_list_with_a_folder_for_each_subject_keeps_all_of_them() {
    let folder = Folder::new();
    let entry = |subject: &str| {
        folder.volumes(&[&format!("{subject}/t1.nii"), &format!("{subject}/seg.nii")]);
        format!(r#"{{"image": "./{subject}/t1.nii", "label": "{subject}/seg.nii"}}"#)
    };
    let entries = ["sub-01", "sub-02/first", "sub-02/second"].map(entry);
    folder.volumes(&["lone/t2.nii", "lone/seg.nii"]).text(
        "dataset.json",
        &format!(
            r#"{{"training": [{}, {{"image": "lone/t2.nii", "label": "lone/seg.nii"}}]}}"#,
            entries.join(", ")
        ),
    );
    let dataset = folder.discover();
    let expected = ["sub-01_t1", "sub-02_first_t1", "sub-02_second_t1", "t2"];
    assert_eq!(ids(&dataset), expected);
    assert!(dataset.problems.is_empty(), "{:?}", dataset.problems);
    assert_eq!(
        (dataset.stated_channels(), dataset.ignored_label()),
        (None, None)
    );
}
