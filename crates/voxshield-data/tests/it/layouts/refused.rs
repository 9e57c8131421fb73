//! Links, and folders that are no dataset.

use std::path::PathBuf;

use voxshield_data::{DataError, LayoutError, discover, layouts};

use super::{Folder, ids, problem};

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
