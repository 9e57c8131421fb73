//! Links, and folders that are no dataset.

use std::path::PathBuf;

use voxshield_data::{DataError, LayoutError, discover, layouts};

use super::{Folder, ids, problem};

/// Where capitals do not count both would be one file, and no manifest holds both.
#[test]
fn cases_that_differ_in_capitals_only_are_not_both_taken() {
    let folder = Folder::new();
    folder.volumes(&[
        "images/Case.nii",
        "labels/Case.nii",
        "images/case.nii.gz",
        "labels/case.nii.gz",
    ]);
    let dataset = folder.discover();
    assert_eq!(ids(&dataset), ["Case"]);
    let error = &problem(&dataset, "images/case.nii.gz").error;
    assert!(
        matches!(
            **error,
            DataError::Layout(LayoutError::DuplicateCase { .. })
        ),
        "{error}"
    );
    assert_eq!(dataset.problems.len(), 1, "{:?}", dataset.problems);
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
    assert!(
        matches!(error, DataError::Layout(LayoutError::EmptyFolder { .. })),
        "{error}"
    );
    folder.volume("a.nii");
    let error = discover(folder.path()).unwrap_err();
    assert!(
        matches!(error, DataError::Layout(LayoutError::UnknownLayout { .. })),
        "{error}"
    );
    for layout in layouts() {
        assert!(error.to_string().contains(layout.name()), "{error}");
        assert!(error.to_string().contains(layout.describe()), "{error}");
    }
    let error = discover(&folder.path().join("a.nii")).unwrap_err();
    assert!(
        matches!(error, DataError::Layout(LayoutError::NotAFolder { .. })),
        "{error}"
    );
    let error = discover(&folder.path().join("gone")).unwrap_err();
    assert!(error.to_string().contains("does not exist"), "{error}");
}

#[cfg(target_os = "linux")]
#[test]
fn names_that_no_manifest_can_hold_are_said_so_at_once() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    use std::path::Path;
    let folder = Folder::new();
    for id in ["good", "2021-03-04T12:30:00"] {
        folder.volumes(&[&format!("images/{id}.hdr"), &format!("labels/{id}.nii")]);
    }
    // A backslash in the label alone, and a case that lacks its label as well.
    folder.volumes(&["images/a\\b.nii", "labels/a\\b.nii", "images/c:d.nii"]);
    // Files that are copied are in no manifest.
    folder.text("notes\\of: today.txt", "");
    let dataset = folder.discover();
    assert_eq!(ids(&dataset), ["good"]);
    for (path, name, reason) in [
        (
            "images/2021-03-04T12:30:00.hdr",
            "\"2021-03-04T12:30:00.hdr\"",
            "`:`",
        ),
        ("images/a\\b.nii", "\"a\\\\b.nii\"", "`\\`"),
        ("images/c:d.nii", "\"c:d.nii\"", "`:`"),
    ] {
        let error = &problem(&dataset, path).error;
        assert!(
            matches!(**error, DataError::Layout(LayoutError::UnfitName { .. })),
            "{error}"
        );
        for part in [name, reason, "rename it"] {
            assert!(error.to_string().contains(part), "{part}: {error}");
        }
    }
    assert_eq!(dataset.problems.len(), 3, "{:?}", dataset.problems);
    assert_eq!(dataset.auxiliary, [Path::new("notes\\of: today.txt")]);
    assert_eq!(ids(&dataset.without_need_of_labels()), ["good"]);

    // Not UTF-8, in the name of a folder.
    let folder = Folder::new();
    let visit = Path::new(OsStr::from_bytes(b"visit\xFF"));
    for part in ["flair", "t1", "t1ce", "t2", "seg"] {
        folder.volumes(&[&format!("P1_{part}.nii"), &format!("P2_{part}.nii")]);
    }
    std::fs::create_dir(folder.path().join(visit)).unwrap();
    for part in ["flair", "t1", "t1ce", "t2", "seg"] {
        let name = format!("P2_{part}.nii");
        let to = folder.path().join(visit).join(&name);
        std::fs::rename(folder.path().join(name), to).unwrap();
    }
    let dataset = folder.discover();
    assert_eq!(ids(&dataset), ["P1"]);
    assert_eq!(dataset.problems.len(), 1, "{:?}", dataset.problems);
    let error = dataset.problems[0].error.to_string();
    assert!(error.contains("\"visit\\xFF\": it is not UTF-8"), "{error}");
}

/// Published byte for byte, such a label is the clean image.
#[cfg(unix)]
#[test]
fn a_label_that_is_the_file_of_an_image_is_refused() {
    use std::os::unix::fs::symlink;
    let folder = Folder::new();
    folder.volumes(&[
        "images/a.nii",
        "labels/a.nii",
        "images/b.nii",
        "images/c.hdr",
    ]);
    folder.volumes(&["images/d.nii", "labels/real.nii"]);
    let link = |target: &str, name: &str| {
        let target = std::path::Path::new("..").join(target);
        symlink(target, folder.path().join("labels").join(name)).unwrap();
    };
    link("images/b.nii", "b.nii");
    link("images/a.nii", "c.nii");
    // A link to a label is one.
    link("labels/real.nii", "d.nii");
    let dataset = folder.discover();
    assert_eq!(ids(&dataset), ["a", "d"]);
    for (label, image) in [
        ("labels/b.nii", "images/b.nii"),
        ("labels/c.nii", "images/a.nii"),
    ] {
        let error = &problem(&dataset, label).error;
        assert!(
            matches!(**error, DataError::Layout(LayoutError::LabelIsImage { .. })),
            "{error}"
        );
        assert!(error.to_string().contains(image), "{error}");
    }
    // Not for want of a label: no run may take them.
    assert_eq!(ids(&dataset.without_need_of_labels()), ["a", "d"]);
}

#[test]
fn a_folder_around_datasets_is_no_dataset() {
    let folder = Folder::new();
    for name in ["Dataset001_A", "Dataset002_B"] {
        folder.volumes(&[
            &format!("{name}/imagesTr/a{name}_0000.nii.gz"),
            &format!("{name}/labelsTr/a{name}.nii.gz"),
        ]);
        folder.text(&format!("{name}/dataset.json"), "{}");
    }
    let error = discover(folder.path()).unwrap_err();
    assert!(
        matches!(error, DataError::Layout(LayoutError::DatasetBelow { .. })),
        "{error}"
    );
    assert!(error.to_string().contains("Dataset001_A"), "{error}");
    // A dataset of its own that has another one in it is one all the same.
    folder.volumes(&["images/a.nii", "labels/a.nii"]);
    assert!(discover(folder.path()).is_ok());
}
