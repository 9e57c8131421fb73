//! Manifests, residuals and folders of somebody who is not the owner.

use std::fs;

use voxshield::{
    data::{
        DataError, MANIFEST_NAME, Manifest, ResidualCase, StoredVolume, UnlockError, seal_residual,
        sha256_file, sha256_volume,
    },
    pipeline::{PipelineError, UnlockOptions, verify_published, verify_signed},
};

use super::setting;

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
