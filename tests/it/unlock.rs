//! Datasets that come back: `protect` with recipients, then `unlock`.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use voxshield::{
    data::{
        DataError, Identities, MANIFEST_NAME, Manifest, PublicKey, Recipients, ResidualCase,
        SigningKey, StoredVolume, UNLOCK_FOLDER, UnlockError, generate_identity,
        generate_signing_key, seal_residual, sha256_file, sha256_volume,
    },
    pipeline::{
        MemoryLimit, PipelineError, UnlockOptions, UnlockReport, protect, unlock, verify,
        verify_published, verify_signed,
    },
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

/// One image under the name of another: no hash of the manifest is wrong.
#[test]
fn exchanged_images_do_not_come_with_the_label_of_another_case() {
    let it = setting(2);
    let mut forged = it.manifest.clone();
    let [a, b] = [0, 1].map(|case| it.out.join(&it.manifest.cases[case].files[0].path));
    let aside = it.path("aside");
    fs::rename(&a, &aside).unwrap();
    fs::rename(&b, &a).unwrap();
    fs::rename(&aside, &b).unwrap();
    // Images and residuals of the one with id, names and label of the other.
    let [first, second] = &mut forged.cases[..] else {
        panic!("two cases")
    };
    std::mem::swap(&mut first.id, &mut second.id);
    std::mem::swap(&mut first.labels, &mut second.labels);
    for (case, image) in [(first, &b), (second, &a)] {
        let relative = image.strip_prefix(&it.out).unwrap();
        case.files[0].path = relative.to_str().unwrap().to_owned();
    }
    let refused = |forged: &Manifest| {
        it.write(forged);
        let error = it.unlock("restored").unwrap_err();
        assert!(!it.path("restored").exists() && !it.path("restored.partial").exists());
        match error {
            PipelineError::Data(DataError::Unlock { problem, .. }) => problem,
            other => panic!("{other}"),
        }
    };
    let problem = refused(&forged);
    assert!(
        matches!(problem, UnlockError::OtherCase { .. }),
        "{problem}"
    );
    // With ids as they were, the names tell.
    let [first, second] = &mut forged.cases[..] else {
        panic!("two cases")
    };
    std::mem::swap(&mut first.id, &mut second.id);
    let problem = refused(&forged);
    assert!(
        matches!(problem, UnlockError::OtherFiles { what: "image", .. }),
        "{problem}"
    );
    // And images under their own names with the label of the other case.
    let mut forged = it.manifest.clone();
    let [first, second] = &mut forged.cases[..] else {
        panic!("two cases")
    };
    std::mem::swap(&mut first.labels, &mut second.labels);
    fs::rename(&a, &aside).unwrap();
    fs::rename(&b, &a).unwrap();
    fs::rename(&aside, &b).unwrap();
    let problem = refused(&forged);
    assert!(
        matches!(problem, UnlockError::OtherFiles { what: "label", .. }),
        "{problem}"
    );
}

/// Whoever knows the recipient can make all of it; only the signature is the owner's.
#[test]
fn a_folder_forged_for_a_recipient_needs_the_owners_signature() {
    let it = setting(1);
    let key = it.sign();
    let signed = UnlockOptions {
        public_key: Some(key),
        ..UnlockOptions::default()
    };
    let report = it.unlock_with("genuine", &signed).unwrap();
    assert!(report.is_complete(), "{report:?}");
    // An original with another voxel, sealed to the recipient.
    let mut forged = it.manifest.clone();
    let case = &mut forged.cases[0];
    let original = StoredVolume::read(&it.clean.join(&case.files[0].path)).unwrap();
    let mut voxels = original.voxel_bytes().to_vec();
    voxels[0] ^= 1;
    let other = it.path("other.nii.gz");
    let original = original.with_voxels(voxels).unwrap();
    original.write_atomic(&other).unwrap();
    case.files[0].content_before = original.content_sha256();
    case.files[0].sha256_before = sha256_volume(&other).unwrap();
    let residual = case.unlock.as_mut().unwrap();
    let named = ResidualCase {
        id: &case.id,
        paths: &[case.files[0].path.clone()],
        labels: &case.labels,
    };
    let (image, sealed) = (
        it.out.join(&case.files[0].path),
        it.out.join(&residual.path),
    );
    seal_residual(&named, &[other], &[image], &it.recipients, &sealed).unwrap();
    residual.sha256 = sha256_file(&sealed).unwrap();
    it.write(&forged);
    assert!(it.unlock("forged").unwrap().is_complete());
    let error = it.unlock_with("refused", &signed).unwrap_err();
    assert!(
        matches!(error, PipelineError::Data(DataError::Signature { .. })),
        "{error}"
    );
    assert!(!it.path("refused").exists());
}

#[test]
fn a_manifest_without_cases_restores_nothing_and_says_so() {
    let it = setting(1);
    let mut empty = it.manifest.clone();
    empty.cases.clear();
    it.write(&empty);
    let error = it.unlock("restored").unwrap_err();
    assert!(matches!(error, PipelineError::NoCases { .. }), "{error}");
    assert!(!it.path("restored").exists());
}

#[test]
fn files_beside_the_cases_come_back_only_as_they_are_listed() {
    let it = setting(1);
    fs::write(it.out.join("run-me.sh"), "rm -rf").unwrap();
    fs::write(it.out.join("LICENCE"), "all rights reserved").unwrap();
    let report = it.unlock("restored").unwrap();
    assert_eq!(report.problems.len(), 1, "{report:?}");
    assert!(report.problems[0].contains("LICENCE"), "{report:?}");
    assert!(!report.is_complete());
    let restored = |name: &str| it.path("restored").join(name).exists();
    assert!(restored("dataset.json") && !restored("run-me.sh") && !restored("LICENCE"));
    // Before they were listed all of them were copied; unsigned they are no part of what is signed.
    let older = Manifest {
        others: None,
        ..it.manifest.clone()
    };
    it.write(&older);
    assert!(it.unlock("all").unwrap().is_complete());
    assert!(it.path("all/run-me.sh").exists());
    let signed = UnlockOptions {
        public_key: Some(it.sign()),
        ..UnlockOptions::default()
    };
    let report = it.unlock_with("none", &signed).unwrap();
    assert_eq!(report.problems.len(), 1, "{report:?}");
    assert!(!it.path("none/run-me.sh").exists());
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

/// With the key and without the clean dataset: what whoever fetched the folder can check.
#[test]
fn what_was_published_is_checked_by_the_owners_key() {
    let it = setting(2);
    let key = it.sign();
    let problems = |what: &str| {
        let report = verify_published(&it.out, &key).unwrap();
        let with_dataset = verify_signed(&it.clean, &it.out, &key, None, &mut |_| {}).unwrap();
        assert!(!report.is_genuine() && !with_dataset.is_kept(), "{what}");
        let found = report.problems.iter().any(|problem| problem.contains(what));
        assert!(found, "{what}: {report:?}");
        report.cases
    };
    let report = verify_published(&it.out, &key).unwrap();
    assert!(report.is_genuine() && report.cases == 2, "{report:?}");
    let report = verify_signed(&it.clean, &it.out, &key, None, &mut |_| {}).unwrap();
    assert!(report.is_kept() && report.cases.len() == 2, "{report:?}");
    let case = &it.manifest.cases[1];
    let residual = &case.unlock.as_ref().unwrap().path;
    for name in [
        &case.files[0].path,
        &case.labels[0].path,
        residual,
        "LICENCE",
    ] {
        let path = it.out.join(name);
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, [&bytes[..], b"x"].concat()).unwrap();
        assert_eq!(problems(&format!("{name}: changed")), 2);
        fs::remove_file(&path).unwrap();
        problems(&format!("{name}: missing"));
        fs::write(&path, bytes).unwrap();
    }
    fs::write(it.out.join("more.txt"), "x").unwrap();
    problems("more.txt: a file that the manifest does not list");
    fs::remove_file(it.out.join("more.txt")).unwrap();
    assert!(verify_published(&it.out, &key).unwrap().is_genuine());

    // Nothing of a manifest that is not signed is looked at.
    let manifest = it.out.join(MANIFEST_NAME);
    let text = fs::read_to_string(&manifest).unwrap();
    fs::write(&manifest, text.replace("\"roi\"", "\"full\"")).unwrap();
    assert_eq!(problems("not one of this manifest"), 0);
    fs::write(&manifest, text).unwrap();
    fs::remove_file(it.out.join("voxshield.json.sig")).unwrap();
    assert_eq!(problems("voxshield.json.sig"), 0);
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
    // What an earlier protection left is not carried over.
    protect(&it.out, &again, &random(0.05), &mut |_| {}).unwrap();
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
