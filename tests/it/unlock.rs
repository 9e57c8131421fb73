//! Datasets that come back: `protect` with recipients, then `unlock`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use voxshield::{
    data::{
        Identities, MANIFEST_NAME, Manifest, StoredVolume, UNLOCK_FOLDER, generate_identity,
        sha256_file,
    },
    pipeline::{PipelineError, protect, unlock, verify},
};

use crate::support::{phantoms, random};

struct Setting {
    folder: tempfile::TempDir,
    clean: PathBuf,
    out: PathBuf,
    manifest: Manifest,
    identities: Identities,
}

fn setting(cases: u64) -> Setting {
    let folder = tempfile::tempdir().unwrap();
    let (clean, out) = (folder.path().join("clean"), folder.path().join("out"));
    phantoms(&clean, cases, 5);
    fs::write(clean.join("LICENCE"), "CC0").unwrap();
    let key = folder.path().join("owner.key");
    let mut options = random(4.0 / 255.0);
    options
        .unlock_to
        .add(&generate_identity(&key).unwrap())
        .unwrap();
    let manifest = protect(&clean, &out, &options, &mut |_| {}).unwrap();
    Setting {
        identities: Identities::open(&key).unwrap(),
        folder,
        clean,
        out,
        manifest,
    }
}

fn content(path: &Path) -> Vec<String> {
    StoredVolume::read(path).unwrap().content_sha256()
}

#[test]
fn every_file_of_the_dataset_comes_back() {
    let it = setting(3);
    let restored = it.folder.path().join("restored");
    assert!(verify(&it.clean, &it.out, &mut |_| {}).unwrap().is_kept());
    let mut seen = Vec::new();
    let report = unlock(&it.out, &restored, &it.identities, &mut |case| {
        seen.push(case.id.clone())
    })
    .unwrap();
    assert!(report.is_complete(), "{report:?}");
    assert!(it.manifest.cases.iter().map(|case| &case.id).eq(&seen));
    for case in &it.manifest.cases {
        let image = &case.files[0].path;
        assert_eq!(
            content(&it.clean.join(image)),
            content(&restored.join(image))
        );
        assert_ne!(content(&it.clean.join(image)), content(&it.out.join(image)));
        let label = &case.labels[0].path;
        assert_eq!(
            fs::read(it.clean.join(label)).unwrap(),
            fs::read(restored.join(label)).unwrap()
        );
    }
    for name in ["LICENCE", "dataset.json"] {
        assert_eq!(
            fs::read(it.clean.join(name)).unwrap(),
            fs::read(restored.join(name)).unwrap()
        );
    }
    assert!(!restored.join(MANIFEST_NAME).exists() && !restored.join(UNLOCK_FOLDER).exists());
}

#[test]
fn a_stranger_gets_an_error_and_no_folder() {
    let it = setting(2);
    let (key, restored) = (
        it.folder.path().join("stranger"),
        it.folder.path().join("restored"),
    );
    generate_identity(&key).unwrap();
    let stranger = Identities::open(&key).unwrap();
    let error = unlock(&it.out, &restored, &stranger, &mut |_| {}).unwrap_err();
    assert!(error.to_string().contains("none of the keys"), "{error}");
    assert!(!restored.exists());
}

#[test]
fn cases_that_were_tampered_with_are_left_out_and_the_others_restored() {
    let it = setting(6);
    let file = |case: usize| it.out.join(&it.manifest.cases[case].files[0].path);
    let residual = |case: usize| {
        it.out
            .join(&it.manifest.cases[case].unlock.as_ref().unwrap().path)
    };
    // 0: cut short. 1 and 2: residuals swapped. 3: a protected voxel changed. 4: the label changed.
    let bytes = fs::read(residual(0)).unwrap();
    fs::write(residual(0), &bytes[..bytes.len() - 1]).unwrap();
    fs::rename(residual(1), residual(0).with_extension("aside")).unwrap();
    fs::copy(residual(2), residual(1)).unwrap();
    fs::rename(residual(0).with_extension("aside"), residual(2)).unwrap();
    let stored = StoredVolume::read(&file(3)).unwrap();
    let mut voxels = stored.voxel_bytes().to_vec();
    voxels[100] ^= 1;
    stored
        .with_voxels(voxels)
        .unwrap()
        .write_atomic(&file(3))
        .unwrap();
    let label = |case: usize| it.out.join(&it.manifest.cases[case].labels[0].path);
    fs::copy(label(5), label(4)).unwrap();

    let restored = it.folder.path().join("restored");
    let report = unlock(&it.out, &restored, &it.identities, &mut |_| {}).unwrap();
    let expected = [
        "damaged",
        "swapped",
        "swapped",
        "not those that were protected",
        "not the file",
    ];
    for (case, reason) in report.cases.iter().zip(expected) {
        let problem = case.problem.as_ref().unwrap();
        assert!(problem.contains(reason), "{}: {problem}", case.id);
    }
    assert_eq!(report.cases[5].problem, None);
    let images: Vec<_> = fs::read_dir(restored.join("imagesTr")).unwrap().collect();
    assert_eq!(images.len(), 1, "{images:?}");
}

#[test]
fn without_recipients_there_is_nothing_to_unlock() {
    let it = setting(1);
    let (again, restored) = (
        it.folder.path().join("again"),
        it.folder.path().join("restored"),
    );
    // What an earlier protection left is not carried over, where its manifest is gone and nobody can tell what it was.
    let (manifest, aside) = (it.out.join(MANIFEST_NAME), it.folder.path().join("aside"));
    fs::rename(&manifest, &aside).unwrap();
    protect(&it.out, &again, &random(0.05), &mut |_| {}).unwrap();
    fs::rename(&aside, &manifest).unwrap();
    assert!(!again.join(UNLOCK_FOLDER).exists());
    let error = unlock(&again, &restored, &it.identities, &mut |_| {}).unwrap_err();
    assert!(matches!(error, PipelineError::NoResidual { .. }), "{error}");
    assert!(matches!(
        unlock(&it.out, &it.out.join("inside"), &it.identities, &mut |_| {}),
        Err(PipelineError::OutputOverlaps { .. })
    ));
}

#[cfg(unix)]
#[test]
fn links_and_paths_that_leave_the_folder_are_refused() {
    let it = setting(1);
    let restored = it.folder.path().join("restored");
    let image = it.out.join(&it.manifest.cases[0].files[0].path);
    let outside = it.folder.path().join("outside.nii.gz");
    fs::rename(&image, &outside).unwrap();
    std::os::unix::fs::symlink(&outside, &image).unwrap();
    let error = unlock(&it.out, &restored, &it.identities, &mut |_| {}).unwrap_err();
    assert!(
        matches!(error, PipelineError::NotInFolder { .. }),
        "{error}"
    );
    let manifest = it.out.join(MANIFEST_NAME);
    let before = sha256_file(&outside).unwrap();
    let text = fs::read_to_string(&manifest).unwrap();
    fs::write(&manifest, text.replace("imagesTr/", "imagesTr/../../")).unwrap();
    let error = unlock(&it.out, &restored, &it.identities, &mut |_| {}).unwrap_err();
    assert!(error.to_string().contains("without `..`"), "{error}");
    assert!(!restored.exists());
    assert_eq!(sha256_file(&outside).unwrap(), before);
}
