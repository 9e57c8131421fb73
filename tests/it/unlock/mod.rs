//! Datasets that come back: `protect` with recipients, then `unlock`.

mod forged;

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use voxshield::{
    data::{
        Identities, MANIFEST_NAME, Manifest, PublicKey, Recipients, SigningKey, StoredVolume,
        UNLOCK_FOLDER, generate_identity, generate_signing_key, sha256_file,
    },
    pipeline::{MemoryLimit, PipelineError, UnlockOptions, UnlockReport, protect, unlock, verify},
};

use crate::support::{phantoms, random};

struct Setting {
    folder: tempfile::TempDir,
    clean: PathBuf,
    out: PathBuf,
    manifest: Manifest,
    identities: Identities,
    recipients: Recipients,
}

impl Setting {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Into a new folder, and without a signature.
    fn unlock(&self, restored: &str) -> Result<UnlockReport, PipelineError> {
        self.unlock_with(restored, &UnlockOptions::default())
    }

    fn unlock_with(
        &self,
        restored: &str,
        options: &UnlockOptions,
    ) -> Result<UnlockReport, PipelineError> {
        let restored = self.path(restored);
        unlock(&self.out, &restored, &self.identities, options, &mut |_| {})
    }

    /// Signs the manifest as it is now.
    fn sign(&self) -> PublicKey {
        let key = self.path("owner.pem");
        let public = generate_signing_key(&key).unwrap();
        let path = self.out.join(MANIFEST_NAME);
        let bytes = fs::read(&path).unwrap();
        SigningKey::open(&key).unwrap().sign(&path, &bytes).unwrap();
        PublicKey::open(&public).unwrap()
    }

    fn write(&self, manifest: &Manifest) {
        manifest
            .write_atomic(&self.out.join(MANIFEST_NAME))
            .unwrap();
    }
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
        recipients: options.unlock_to,
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
    let options = UnlockOptions::default();
    let report = unlock(&it.out, &restored, &it.identities, &options, &mut |case| {
        seen.push(case.id.clone())
    })
    .unwrap();
    assert!(report.is_complete(), "{report:?}");
    assert!(!it.path("restored.partial").exists());
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
    // Other compressed bytes, the same content: whoever has the originals can check what was protected.
    let report = verify(&restored, &it.out, &mut |_| {}).unwrap();
    assert!(report.is_kept(), "{report:?}");
}

/// Compressed by another program, as gzip at its strongest: unlocking writes other bytes, and `verify` takes both.
#[test]
fn what_was_compressed_by_others_is_verified_after_it_was_restored() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    phantoms(&path("clean"), 1, 5);
    let image = path("clean/imagesTr/case_000_0000.nii.gz");
    let plain = path("plain.nii");
    StoredVolume::read(&image)
        .unwrap()
        .write_atomic(&plain)
        .unwrap();
    let file = fs::File::create(&image).unwrap();
    let mut encoder = flate2::write::GzEncoder::new(file, flate2::Compression::best());
    encoder.write_all(&fs::read(&plain).unwrap()).unwrap();
    encoder.finish().unwrap();
    let mut options = random(4.0 / 255.0);
    let recipient = generate_identity(&path("key")).unwrap();
    options.unlock_to.add(&recipient).unwrap();
    let manifest = protect(&path("clean"), &path("out"), &options, &mut |_| {}).unwrap();
    let identities = Identities::open(&path("key")).unwrap();
    let (out, restored) = (path("out"), path("restored"));
    let options = UnlockOptions::default();
    unlock(&out, &restored, &identities, &options, &mut |_| {}).unwrap();
    let again = restored.join("imagesTr/case_000_0000.nii.gz");
    assert_ne!(
        sha256_file(&again).unwrap(),
        manifest.cases[0].files[0].sha256_before
    );
    for clean in [path("clean"), restored] {
        let report = verify(&clean, &out, &mut |_| {}).unwrap();
        assert!(report.is_kept(), "{report:?}");
    }
}

#[test]
fn a_case_beyond_the_memory_is_not_restored() {
    let it = setting(1);
    // 12 x 17 x 14 voxels of two bytes.
    let bytes = 12 * 17 * 14 * 2;
    let within = |bytes: u64| UnlockOptions {
        max_memory: Some(MemoryLimit::bytes(bytes)),
        ..UnlockOptions::default()
    };
    let error = it.unlock_with("restored", &within(bytes - 1)).unwrap_err();
    assert!(matches!(error, PipelineError::Memory { .. }), "{error}");
    assert!(
        it.unlock_with("restored", &within(bytes))
            .unwrap()
            .is_complete()
    );
}

/// What a killed run leaves has another name, and nothing is written over it.
#[test]
fn a_folder_has_its_name_when_it_is_complete() {
    let it = setting(2);
    let (restored, partial) = (it.path("restored"), it.path("restored.partial"));
    fs::create_dir(&restored).unwrap();
    let mut seen = 0;
    let options = UnlockOptions::default();
    unlock(&it.out, &restored, &it.identities, &options, &mut |_| {
        seen += usize::from(partial.is_dir() && !restored.exists());
    })
    .unwrap();
    assert_eq!(seen, 2);
    assert!(restored.join("dataset.json").exists() && !partial.exists());
    fs::remove_dir_all(&restored).unwrap();
    fs::create_dir(&partial).unwrap();
    let error = it.unlock("restored").unwrap_err();
    assert!(
        matches!(&error, PipelineError::OutputNotEmpty { path } if path.ends_with("restored.partial")),
        "{error}"
    );
    assert!(partial.exists() && !restored.exists());
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
    let options = UnlockOptions::default();
    let error = unlock(&it.out, &restored, &stranger, &options, &mut |_| {}).unwrap_err();
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

    let restored = it.path("restored");
    let report = it.unlock("restored").unwrap();
    for case in &report.cases[..5] {
        let problem = case.problem.as_ref().unwrap();
        assert!(problem.contains("not the file"), "{}: {problem}", case.id);
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
    let options = UnlockOptions::default();
    let error = unlock(&again, &restored, &it.identities, &options, &mut |_| {}).unwrap_err();
    assert!(matches!(error, PipelineError::NoResidual { .. }), "{error}");
    assert!(matches!(
        it.unlock("out/inside"),
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
    let error = it.unlock("restored").unwrap_err();
    assert!(
        matches!(error, PipelineError::NotInFolder { .. }),
        "{error}"
    );
    let manifest = it.out.join(MANIFEST_NAME);
    let before = sha256_file(&outside).unwrap();
    let text = fs::read_to_string(&manifest).unwrap();
    fs::write(&manifest, text.replace("imagesTr/", "imagesTr/../../")).unwrap();
    let error = it.unlock("restored").unwrap_err();
    assert!(error.to_string().contains("without `..`"), "{error}");
    assert!(!restored.exists());
    assert_eq!(sha256_file(&outside).unwrap(), before);
}
