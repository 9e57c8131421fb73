//! The manifest.

use voxshield_data::{
    CaseRecord, CtStatistics, DataError, FailedCase, FileRecord, IntensityRange, LabelRecord,
    MANIFEST_NAME, Manifest, Modality, Normalisation, NormalisationRecord, UnlockRecord,
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
    }
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
