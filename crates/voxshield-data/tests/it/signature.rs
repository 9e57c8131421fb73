//! Signatures of manifests.

use std::fs;

use voxshield_data::{
    DataError, MANIFEST_NAME, PublicKey, SIGNATURE_NAME, SignatureError, SigningKey,
    generate_signing_key,
};

use crate::support::names;

/// RFC 8032, 7.1, test 2: the key as OpenSSL writes it, the message 0x72.
const PRIVATE: &str = "-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIEzNCJso/5banbbDRuwRTg9bijGfNaumJNqM9u1PuKb7
-----END PRIVATE KEY-----
";
const SIGNATURE: [u8; 64] = [
    0x92, 0xa0, 0x09, 0xa9, 0xf0, 0xd4, 0xca, 0xb8, 0x72, 0x0e, 0x82, 0x0b, 0x5f, 0x64, 0x25, 0x40,
    0xa2, 0xb2, 0x7b, 0x54, 0x16, 0x50, 0x3f, 0x8f, 0xb3, 0x76, 0x22, 0x23, 0xeb, 0xdb, 0x69, 0xda,
    0x08, 0x5a, 0xc1, 0xe4, 0x3e, 0x15, 0x99, 0x6e, 0x45, 0x8f, 0x36, 0x13, 0xd0, 0xf1, 0x1d, 0x8c,
    0x38, 0x7b, 0x2e, 0xae, 0xb4, 0x30, 0x2a, 0xee, 0xb0, 0x0d, 0x29, 0x16, 0x12, 0xbb, 0x0c, 0x00,
];

#[test]
fn the_signature_is_the_standards() {
    let folder = tempfile::tempdir().unwrap();
    let (manifest, key) = (folder.path().join(MANIFEST_NAME), folder.path().join("key"));
    fs::write(&manifest, [0x72]).unwrap();
    fs::write(&key, PRIVATE).unwrap();
    let signer = SigningKey::open(&key).unwrap();
    signer.sign(&manifest, &[0x72]).unwrap();
    let signature = fs::read(folder.path().join(SIGNATURE_NAME)).unwrap();
    assert_eq!(signature, SIGNATURE);
}

/// Between writing and signing somebody may put another manifest there.
#[test]
fn another_manifest_than_was_written_is_not_signed() {
    let folder = tempfile::tempdir().unwrap();
    let (manifest, key) = (folder.path().join(MANIFEST_NAME), folder.path().join("key"));
    fs::write(&manifest, "of somebody else").unwrap();
    fs::write(&key, PRIVATE).unwrap();
    let signer = SigningKey::open(&key).unwrap();
    let error = signer.sign(&manifest, b"what was written").unwrap_err();
    assert!(
        matches!(
            error,
            DataError::Signature {
                problem: SignatureError::OtherManifest,
                ..
            }
        ),
        "{error}"
    );
    assert!(!folder.path().join(SIGNATURE_NAME).exists());
}

#[test]
fn a_changed_manifest_signature_or_key_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (manifest, key) = (folder.path().join(MANIFEST_NAME), folder.path().join("key"));
    let content = br#"{ "cases": [] }"#;
    fs::write(&manifest, content).unwrap();
    let public = generate_signing_key(&key).unwrap();
    let signer = SigningKey::open(&key).unwrap();
    signer.sign(&manifest, content).unwrap();
    let public = PublicKey::open(&public).unwrap();
    assert_eq!(public.check(&manifest).unwrap(), content);

    let problem = || match public.check(&manifest) {
        Err(DataError::Signature { problem, .. }) => problem,
        other => panic!("{other:?}"),
    };
    for position in 0..content.len() {
        let mut changed = *content;
        changed[position] ^= 1;
        fs::write(&manifest, changed).unwrap();
        assert_eq!(problem(), SignatureError::Mismatch);
    }
    fs::write(&manifest, content).unwrap();
    let path = folder.path().join(SIGNATURE_NAME);
    let signature = fs::read(&path).unwrap();
    for position in 0..signature.len() {
        let mut changed = signature.clone();
        changed[position] ^= 0x10;
        fs::write(&path, changed).unwrap();
        assert_eq!(problem(), SignatureError::Mismatch, "byte {position}");
    }
    fs::write(&path, &signature[..63]).unwrap();
    assert_eq!(problem(), SignatureError::Length { found: 63 });
    fs::write(&path, &signature).unwrap();
    let stranger = generate_signing_key(&folder.path().join("stranger")).unwrap();
    assert!(
        PublicKey::open(&stranger)
            .unwrap()
            .check(&manifest)
            .is_err()
    );
    fs::remove_file(&path).unwrap();
    assert!(matches!(public.check(&manifest), Err(DataError::Io { .. })));
}

#[test]
fn keys_are_private_and_not_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key");
    let public = generate_signing_key(&key).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(
            fs::metadata(&key).unwrap().permissions().mode() & 0o777,
            0o600
        );
    }
    assert!(matches!(
        generate_signing_key(&key),
        Err(DataError::Io { .. })
    ));
    // The private key is gone, but the public one still checks what it signed.
    let lost = folder.path().join("lost");
    let kept = generate_signing_key(&lost).unwrap();
    fs::remove_file(&lost).unwrap();
    let before = fs::read(&kept).unwrap();
    let error = generate_signing_key(&lost).unwrap_err();
    assert!(
        matches!(&error, DataError::Io { path, .. } if *path == kept),
        "{error}"
    );
    assert_eq!(fs::read(&kept).unwrap(), before);
    assert!(!lost.exists());
    // Where the public key cannot be written, the private one does not stay: with `.pub` the name of its temporary file,
    // `.NAME.PROCESS.NUMBER.tmp`, has more than 255 letters, and without at most 255, for numbers of one to four digits.
    let process = std::process::id().to_string().len();
    let long = folder.path().join("k".repeat(244 - process));
    assert!(generate_signing_key(&long).is_err());
    // No temporary files either.
    assert_eq!(names(folder.path()), ["key", "key.pub", "lost.pub"]);
    // One in place of the other.
    let error = SigningKey::open(&public).err().unwrap();
    assert!(
        matches!(
            error,
            DataError::Signature {
                problem: SignatureError::Key { .. },
                ..
            }
        ),
        "{error}"
    );
    let error = PublicKey::open(&key).unwrap_err().to_string();
    let secret = fs::read_to_string(&key).unwrap();
    assert!(!error.contains(secret.lines().nth(1).unwrap()), "{error}");
}
