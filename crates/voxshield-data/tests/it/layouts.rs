//! Dataset layouts, on tiny generated datasets.

use std::path::{Path, PathBuf};

use voxshield_data::{CaseProblem, DataError, Dataset, Modality, Split, discover, layouts};

use crate::support::Nifti;

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn volume(&self, name: &str) -> &Self {
        let mut file = Nifti::u8(&[2, 2, 2], &[1; 8]);
        file.pair = name.ends_with(".hdr");
        file.write(&self.path().join(name));
        self
    }

    fn volumes(&self, names: &[&str]) -> &Self {
        for name in names {
            self.volume(name);
        }
        self
    }

    fn text(&self, name: &str, content: &str) -> &Self {
        std::fs::write(self.path().join(name), content).unwrap();
        self
    }

    fn discover(&self) -> Dataset {
        discover(self.path()).unwrap()
    }
}

fn ids(dataset: &Dataset) -> Vec<&str> {
    dataset.cases.iter().map(|case| case.id.as_str()).collect()
}

fn problem<'a>(dataset: &'a Dataset, path: &str) -> &'a CaseProblem {
    let found = dataset
        .problems
        .iter()
        .find(|problem| problem.path == Path::new(path));
    found.unwrap_or_else(|| panic!("no problem with {path} in {:?}", dataset.problems))
}

fn paths(names: &[&str]) -> Vec<PathBuf> {
    names.iter().map(PathBuf::from).collect()
}

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
        matches!(e, DataError::MissingLabel { .. })
    });
    is("labelsTr/noimage.nii.gz", |e| {
        matches!(e, DataError::MissingImage { .. })
    });
    is("imagesTr/extra_0000.nii.gz", |e| {
        matches!(e, DataError::Channels { .. })
    });
    is("imagesTr/twice_0000.nii.gz", |e| {
        matches!(e, DataError::DuplicateCase { .. })
    });
    is("imagesTr/unnumbered.nii.gz", |e| {
        matches!(e, DataError::UnexpectedFile { .. })
    });
    is("predictions/good.nii.gz", |e| {
        matches!(e, DataError::UnexpectedFile { .. })
    });
    is("raw.npz", |e| matches!(e, DataError::UnexpectedFile { .. }));
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
    assert!(matches!(*problem.error, DataError::DuplicateCase { .. }));
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
        DataError::DuplicateCase { .. }
    ));
    assert!(matches!(
        error("not1_flair.nii.gz"),
        DataError::Channels { .. }
    ));
    assert!(matches!(
        error("noseg_flair.nii.gz"),
        DataError::MissingLabel { .. }
    ));
    assert!(matches!(
        error("good_other.nii.gz"),
        DataError::UnexpectedFile { .. }
    ));
    assert_eq!(dataset.problems.len(), 4);
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
        assert_eq!(dataset.channels[0].modality, Some(Modality::Ct));
        let error = |path: String| &*problem(&dataset, &path).error;
        assert!(matches!(
            error(format!("{images}train_003_0000.nii.gz")),
            DataError::MissingLabel { .. }
        ));
        assert!(matches!(
            error(format!("{labels}train_004.nii.gz")),
            DataError::MissingImage { .. }
        ));
        assert_eq!(dataset.problems.len(), 2);
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
        DataError::MissingLabel { .. }
    ));
    assert!(matches!(
        error("images/d.nii.gz"),
        DataError::DuplicateCase { .. }
    ));
    assert!(matches!(
        error("labels/e.nii.gz"),
        DataError::MissingImage { .. }
    ));
    assert!(matches!(
        error("images/f.hdr"),
        DataError::MissingPair { .. }
    ));
    assert!(matches!(
        error("images/deep/g.nii"),
        DataError::UnexpectedFile { .. }
    ));
    assert_eq!(dataset.problems.len(), 5, "{:?}", dataset.problems);
    assert!(dataset.auxiliary.is_empty());
}

#[test]
fn upper_and_lower_case_are_two_cases() {
    let folder = Folder::new();
    folder.volumes(&[
        "images/Case.nii",
        "labels/Case.nii",
        "images/case.nii",
        "labels/case.nii",
    ]);
    // Some file systems cannot hold both.
    let both = std::fs::read_dir(folder.path().join("images"))
        .unwrap()
        .count()
        == 2;
    let expected = if both {
        &["Case", "case"][..]
    } else {
        &["Case"]
    };
    assert_eq!(ids(&folder.discover()), expected);
}

#[cfg(unix)]
#[test]
fn links_that_leave_the_dataset_are_refused() {
    use std::os::unix::fs::symlink;
    let outside = Folder::new();
    outside.volume("secret.nii");
    let folder = Folder::new();
    folder.volumes(&["images/a.nii", "labels/a.nii", "labels/b.nii"]);
    let link = |target: PathBuf, name: &str| symlink(target, folder.path().join(name)).unwrap();
    link(outside.path().join("secret.nii"), "images/b.nii");
    link(outside.path().to_path_buf(), "more");
    link(folder.path().join("nowhere"), "images/c.nii");
    link(folder.path().join("images/a.nii"), "images/d.nii");
    link(folder.path().join("labels/a.nii"), "labels/d.nii");
    link(folder.path().join("images"), "round");
    let dataset = folder.discover();
    assert_eq!(ids(&dataset), ["a", "d"]);
    for path in ["images/b.nii", "more", "images/c.nii", "round"] {
        let error = &problem(&dataset, path).error;
        assert!(matches!(**error, DataError::SymbolicLink { .. }), "{error}");
    }
    // A root that is a link itself is fine.
    let link = outside.path().join("root");
    symlink(folder.path(), &link).unwrap();
    assert_eq!(ids(&discover(&link).unwrap()), ["a", "d"]);
}

#[test]
fn what_is_no_dataset_is_said_so() {
    let folder = Folder::new();
    let error = discover(folder.path()).unwrap_err();
    assert!(matches!(error, DataError::EmptyFolder { .. }), "{error}");
    folder.volume("a.nii");
    let error = discover(folder.path()).unwrap_err();
    assert!(matches!(error, DataError::UnknownLayout { .. }), "{error}");
    for layout in layouts() {
        assert!(error.to_string().contains(layout.name()), "{error}");
        assert!(error.to_string().contains(layout.describe()), "{error}");
    }
    let error = discover(&folder.path().join("a.nii")).unwrap_err();
    assert!(matches!(error, DataError::NotAFolder { .. }), "{error}");
    let error = discover(&folder.path().join("gone")).unwrap_err();
    assert!(error.to_string().contains("does not exist"), "{error}");
}
