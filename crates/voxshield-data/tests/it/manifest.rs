//! The manifest.

use voxshield_data::{
    CaseRecord, CtStatistics, DataError, FailedCase, FileRecord, IntensityRange, LabelRecord,
    MANIFEST_NAME, Manifest, Modality, Normalisation, NormalisationRecord, OtherRecord, PublicKey,
    SigningKey, UnlockRecord, generate_signing_key,
};

fn manifest() -> Manifest {
    Manifest {
        format: Manifest::FORMAT,
        program: "voxshield".to_string(),
        version: "0.1.0".to_string(),
        layout: "plain".to_string(),
        method: serde_json::json!({ "name": "voxshield", "steps": 30, "lr": 5e-4 }),
        epsilon: 4.0 / 255.0,
        support: "roi".to_string(),
        seed: u64::MAX,
        device: "flex".to_string(),
        normalisation: vec![NormalisationRecord {
            channel: "CT".to_string(),
            modality: Some(Modality::Ct),
            normalisation: Normalisation::Ct(CtStatistics {
                mean: 76.156_456_495_315_22,
                sd: 48.071_280_651_170_29,
                p005: -42.685_793_743_133_544,
                p995: 204.391_728_973_388_7,
                unclipped_mean: 1.0 / 3.0,
                unclipped_sd: 5e-324,
            }),
        }],
        cases: vec![CaseRecord {
            id: "a".to_string(),
            files: vec![FileRecord {
                path: "images/a.nii.gz".to_string(),
                sha256_before: "00".to_string(),
                sha256_after: "11".to_string(),
                content_before: vec!["44".to_string()],
            }],
            labels: vec![LabelRecord {
                path: "labels/a.nii.gz".to_string(),
                sha256: "22".to_string(),
            }],
            unlock: Some(UnlockRecord {
                path: "voxshield-unlock/images/a.nii.gz.age".to_string(),
                sha256: "33".to_string(),
                recipients: Some("44".to_string()),
            }),
            ranges: vec![IntensityRange {
                lo: -0.1,
                hi: 0.1 + 0.2,
            }],
            epsilon_stored: vec![Some(3), None],
            achieved: 0.1 + 0.7,
            changed_voxels: 7,
            support_voxels: 8,
            psnr_db: None,
            ssim: 0.999_999_999_999_9,
            seconds: 1e-7,
        }],
        failed: vec![FailedCase {
            id: "b".to_string(),
            path: "images/b.nii.gz".to_string(),
            reason: "truncated".to_string(),
        }],
        skipped: vec![],
        others: Some(vec![OtherRecord {
            path: "dataset.json".to_string(),
            sha256: "55".to_string(),
        }]),
    }
}

/// A file listed twice, capitals or not, hides one record behind the other.
#[test]
fn cases_and_files_that_are_listed_twice_are_refused_both_ways() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(MANIFEST_NAME);
    let image = |manifest: &mut Manifest, name: &str| {
        manifest.cases[0].files[0].path = name.to_string();
    };
    let mut same_case = manifest();
    same_case.cases.push(CaseRecord {
        id: "A".to_string(),
        files: vec![],
        labels: vec![],
        unlock: None,
        ..same_case.cases[0].clone()
    });
    let mut bad = vec![same_case];
    for name in [
        "labels/a.nii.gz",
        "./labels//A.nii.gz",
        "Dataset.JSON",
        MANIFEST_NAME,
        "voxshield.json.sig",
    ] {
        let mut manifest = manifest();
        image(&mut manifest, name);
        bad.push(manifest);
    }
    for bad in bad {
        let error = bad.write_atomic(&path).unwrap_err().to_string();
        assert!(error.contains("listed twice"), "{error}");
        std::fs::write(&path, serde_json::to_vec(&bad).unwrap()).unwrap();
        let error = Manifest::read(&path).unwrap_err().to_string();
        assert!(error.contains("listed twice"), "{error}");
    }
}

#[test]
fn manifests_of_before_files_beside_the_cases_were_listed_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(MANIFEST_NAME);
    let mut json = serde_json::to_value(manifest()).unwrap();
    json.as_object_mut().unwrap().remove("others");
    let file = json["cases"][0]["files"][0].as_object_mut().unwrap();
    file.remove("content_before");
    std::fs::write(&path, json.to_string()).unwrap();
    let read = Manifest::read(&path).unwrap();
    assert_eq!(read.others, None);
    assert!(read.cases[0].files[0].content_before.is_empty());
}

/// What is not signed is not even parsed.
#[test]
fn a_signature_is_checked_before_the_manifest_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let (path, key) = (folder.path().join(MANIFEST_NAME), folder.path().join("key"));
    let public = PublicKey::open(&generate_signing_key(&key).unwrap()).unwrap();
    let written = manifest();
    written.write_atomic(&path).unwrap();
    let signer = SigningKey::open(&key).unwrap();
    signer
        .sign(&path, &written.to_bytes(&path).unwrap())
        .unwrap();
    assert_eq!(Manifest::read_signed(&path, &public).unwrap(), written);
    std::fs::write(&path, "no JSON").unwrap();
    let error = Manifest::read_signed(&path, &public).unwrap_err();
    assert!(matches!(error, DataError::Signature { .. }), "{error}");
}

/// Opening a named pipe waits until somebody writes to it.
#[cfg(unix)]
#[test]
fn a_named_pipe_is_no_manifest() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(MANIFEST_NAME);
    let made = std::process::Command::new("mkfifo").arg(&path).status();
    assert!(made.unwrap().success());
    let error = Manifest::read(&path).unwrap_err();
    assert!(error.to_string().contains("not a regular file"), "{error}");
}

#[test]
fn every_number_survives_bit_for_bit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(MANIFEST_NAME);
    let written = manifest();
    written.write_atomic(&path).unwrap();
    let read = Manifest::read(&path).unwrap();
    assert_eq!(read, written);
    assert_eq!(read.epsilon.to_bits(), written.epsilon.to_bits());
    let bytes = std::fs::read(&path).unwrap();
    read.write_atomic(&path).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), bytes);
}

#[test]
fn numbers_that_json_cannot_say_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(MANIFEST_NAME);
    let mut manifest = manifest();
    manifest.cases[0].psnr_db = Some(f64::INFINITY);
    let error = manifest.write_atomic(&path).unwrap_err();
    assert!(matches!(error, DataError::Json { .. }), "{error}");
    assert!(!path.exists());
}

#[test]
fn paths_that_leave_the_folder_are_refused_both_ways() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(MANIFEST_NAME);
    for entry in [
        "../a.nii",
        "/a.nii",
        "images/../../a.nii",
        "",
        "C:\\a.nii",
        "a\\b.nii",
        "images/2021-03-04T12:30:00.nii.gz",
        "a\0.nii",
    ] {
        let mut bad = manifest();
        bad.cases[0].labels[0].path = entry.to_string();
        let error = bad.write_atomic(&path).unwrap_err();
        assert!(
            matches!(error, DataError::UnsafePath { .. }),
            "{entry}: {error}"
        );
        assert!(error.to_string().contains("`\\`, `:`"), "{error}");
        std::fs::write(&path, serde_json::to_vec(&bad).unwrap()).unwrap();
        let error = Manifest::read(&path).unwrap_err();
        assert!(
            matches!(error, DataError::UnsafePath { .. }),
            "{entry}: {error}"
        );
    }
}

#[test]
fn other_files_and_formats_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(MANIFEST_NAME);
    let error = Manifest::read(&path).unwrap_err();
    assert!(matches!(error, DataError::Io { .. }), "{error}");
    std::fs::write(&path, "{}").unwrap();
    let error = Manifest::read(&path).unwrap_err();
    assert!(matches!(error, DataError::Json { .. }), "{error}");
    let mut newer = manifest();
    newer.format = 2;
    std::fs::write(&path, serde_json::to_vec(&newer).unwrap()).unwrap();
    let error = Manifest::read(&path).unwrap_err();
    assert!(error.to_string().contains("format 2"), "{error}");
}

/// Manifests from before the recipients were remembered.
#[test]
fn a_residual_without_the_hash_of_its_recipients_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(MANIFEST_NAME);
    let mut old = serde_json::to_value(manifest()).unwrap();
    let unlock = old["cases"][0]["unlock"].as_object_mut().unwrap();
    assert!(unlock.remove("recipients").is_some());
    std::fs::write(&path, old.to_string()).unwrap();
    let read = Manifest::read(&path).unwrap();
    assert_eq!(read.cases[0].unlock.as_ref().unwrap().recipients, None);
}
