//! Residuals: exact for every datatype, and useless with anything but the right key and the right files.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::ZlibEncoder;
use proptest::prelude::*;
use voxshield_data::{
    DataError, Identities, LabelRecord, PublicKey, Recipients, ResidualCase, SigningKey,
    StoredVolume, UnlockError, generate_identity, open_decrypted_residual, open_residual,
    seal_residual, sha256_bytes,
};

use crate::support::{DATATYPES, Nifti, gzip};

struct Keys {
    folder: tempfile::TempDir,
    recipients: Recipients,
    identity: PathBuf,
}

fn keys() -> Keys {
    let folder = tempfile::tempdir().unwrap();
    let identity = folder.path().join("owner.key");
    let mut recipients = Recipients::default();
    recipients
        .add(&generate_identity(&identity).unwrap())
        .unwrap();
    Keys {
        folder,
        recipients,
        identity,
    }
}

/// A case of one image and one label.
struct Named {
    id: String,
    paths: Vec<String>,
    labels: Vec<LabelRecord>,
}

fn named(id: &str) -> Named {
    Named {
        id: id.to_string(),
        paths: vec![format!("images/{id}.nii.gz")],
        labels: vec![LabelRecord {
            path: format!("labels/{id}.nii.gz"),
            sha256: "00".to_string(),
        }],
    }
}

impl Named {
    fn residual(&self) -> ResidualCase<'_> {
        ResidualCase {
            id: &self.id,
            paths: &self.paths,
            labels: &self.labels,
        }
    }
}

fn open(
    path: &Path,
    case: &str,
    protected: &StoredVolume,
    identity: &Path,
) -> Result<StoredVolume, UnlockError> {
    open_named(path, &named(case), protected, identity)
}

fn open_named(
    path: &Path,
    case: &Named,
    protected: &StoredVolume,
    identity: &Path,
) -> Result<StoredVolume, UnlockError> {
    let identities = Identities::open(identity).unwrap();
    let files = [protected.path().to_path_buf()];
    match open_residual(path, &case.residual(), &files, &identities) {
        Ok(mut volumes) => Ok(volumes.remove(0)),
        Err(DataError::Unlock {
            path: named,
            problem,
        }) => {
            assert_eq!(named, path);
            Err(problem)
        }
        Err(other) => panic!("{other}"),
    }
}

fn write(folder: &Path, name: &str, bytes: &[u8]) -> StoredVolume {
    let path = folder.join(name);
    fs::write(&path, bytes).unwrap();
    StoredVolume::read(&path).unwrap()
}

fn seal(keys: &Keys, case: &str, before: &StoredVolume, after: &StoredVolume, path: &Path) {
    let [before, after] = [before, after].map(|file| [file.path().to_path_buf()]);
    let case = named(case);
    seal_residual(&case.residual(), &before, &after, &keys.recipients, path).unwrap();
}

/// A volume and a changed one, sealed.
fn sealed(keys: &Keys) -> (StoredVolume, StoredVolume, PathBuf) {
    let values: Vec<i16> = (0..60).map(|v| v * 311 - 9000).collect();
    let changed: Vec<i16> = values.iter().map(|v| v + v % 5).collect();
    let folder = keys.folder.path();
    let mut file = Nifti::i16(&[3, 4, 5], &values);
    file.extension = [&[1, 0, 0, 0, 16, 0, 0, 0, 6, 0, 0, 0][..], b"remarks."].concat();
    file.trailing = vec![7; 5];
    let before = write(folder, "before.nii.gz", &gzip(&file.bytes()));
    file.voxels = Nifti::i16(&[3, 4, 5], &changed).voxels;
    let after = write(folder, "after.nii.gz", &gzip(&file.bytes()));
    let path = folder.join("case.age");
    seal(keys, "case", &before, &after, &path);
    (before, after, path)
}

#[test]
fn the_original_comes_back_with_header_extension_and_trailing_bytes() {
    let keys = keys();
    let (before, after, path) = sealed(&keys);
    let restored = open(&path, "case", &after, &keys.identity).unwrap();
    let target = keys.folder.path().join("restored.nii.gz");
    restored.write_atomic(&target).unwrap();
    let again = StoredVolume::read(&target).unwrap();
    assert_eq!(again.content_sha256(), before.content_sha256());
    assert_ne!(after.content_sha256(), before.content_sha256());
}

#[test]
fn each_of_several_recipients_opens_it_and_nobody_else() {
    let mut keys = keys();
    let second = keys.folder.path().join("second.key");
    let list = keys.folder.path().join("recipients.txt");
    let recipient = generate_identity(&second).unwrap();
    fs::write(&list, format!("# the second\n\n{recipient}\n")).unwrap();
    keys.recipients.add_file(&list).unwrap();
    let (before, after, path) = sealed(&keys);
    for identity in [&keys.identity, &second] {
        let restored = open(&path, "case", &after, identity).unwrap();
        assert_eq!(restored.voxel_bytes(), before.voxel_bytes());
    }
    let stranger = keys.folder.path().join("stranger.key");
    generate_identity(&stranger).unwrap();
    let error = open(&path, "case", &after, &stranger).unwrap_err();
    assert_eq!(error, UnlockError::NoMatchingKey);
}

#[test]
fn swapped_and_changed_files_restore_nothing() {
    let keys = keys();
    let (_, after, path) = sealed(&keys);
    let error = open(&path, "another", &after, &keys.identity).unwrap_err();
    assert!(matches!(error, UnlockError::OtherCase { .. }), "{error}");
    let mut voxels = after.voxel_bytes().to_vec();
    voxels[17] ^= 1;
    let mut file = Nifti::i16(&[3, 4, 5], &[0; 60]);
    file.voxels = voxels;
    let changed = write(keys.folder.path(), "changed.nii", &file.bytes());
    let error = open(&path, "case", &changed, &keys.identity).unwrap_err();
    assert!(
        matches!(error, UnlockError::ProtectedChanged { .. }),
        "{error}"
    );
    // Same voxels, another word in the header's description.
    let mut file = Nifti::i16(&[3, 4, 5], &[0; 60]);
    file.voxels = after.voxel_bytes().to_vec();
    let header = write(keys.folder.path(), "header.nii", &file.bytes());
    let error = open(&path, "case", &header, &keys.identity).unwrap_err();
    assert!(
        matches!(
            error,
            UnlockError::NotRestored {
                what: "the file",
                ..
            }
        ),
        "{error}"
    );
}

/// What a forger could do with the manifest: the files of one case under the names, or with the label, of another.
#[test]
fn other_names_and_other_labels_restore_nothing() {
    let keys = keys();
    let (_, after, path) = sealed(&keys);
    let other = named("other");
    let refused = |change: fn(&mut Named, Named)| {
        let mut case = named("case");
        change(&mut case, named("other"));
        open_named(&path, &case, &after, &keys.identity).unwrap_err()
    };
    let error = refused(|case, other| case.paths = other.paths);
    assert!(
        matches!(&error, UnlockError::OtherFiles { what: "image", expected, .. } if *expected == other.paths[0]),
        "{error}"
    );
    for change in [
        (|case, other| case.labels = other.labels) as fn(&mut Named, Named),
        |case, _| case.labels[0].sha256 = "11".to_string(),
        |case, _| case.labels.clear(),
    ] {
        let error = refused(change);
        assert!(
            matches!(&error, UnlockError::OtherFiles { what: "label", .. }),
            "{error}"
        );
    }
}

/// Of before there were names and labels in it, made by hand.
#[test]
fn residuals_of_version_one_are_read_and_those_of_two_need_their_names() {
    let keys = keys();
    let (before, after, _) = sealed(&keys);
    let files = [after.path().to_path_buf()];
    let (old, new) = (before.voxel_bytes(), after.voxel_bytes());
    let words = |bytes: &[u8]| -> Vec<i16> {
        let (words, _) = bytes.as_chunks::<2>();
        words.iter().map(|&word| i16::from_le_bytes(word)).collect()
    };
    // Differences with the sign in the lowest bit; all low bytes, then all high ones.
    let differences: Vec<u16> = words(old)
        .into_iter()
        .zip(words(new))
        .map(|(old, new)| {
            let difference = i32::from(old) - i32::from(new);
            ((difference << 1) ^ (difference >> 31)) as u16
        })
        .collect();
    let low = differences.iter().map(|&word| word as u8);
    let planes: Vec<u8> = low
        .chain(differences.iter().map(|&word| (word >> 8) as u8))
        .collect();
    let mut zlib = ZlibEncoder::new(Vec::new(), Compression::default());
    zlib.write_all(&planes).unwrap();
    let planes = zlib.finish().unwrap();
    let header = serde_json::json!({ "case": "case", "files": [{
        "bytes": old.len(),
        "voxels_before": sha256_bytes(old),
        "voxels_after": sha256_bytes(new),
        "original": before.content_sha256(),
    }] })
    .to_string();
    let of_version = |version: &[u8]| {
        let length = (header.len() as u32).to_le_bytes();
        let magic = b"voxshield-residual ";
        [&magic[..], version, &length, header.as_bytes(), &planes].concat()
    };
    let open = |bytes: &[u8]| {
        open_decrypted_residual(bytes, Path::new("a.age"), &named("case").residual(), &files)
    };
    let restored = open(&of_version(b"1")).unwrap();
    assert_eq!(restored[0].content_sha256(), before.content_sha256());
    for version in [b"2", b"3"] {
        let error = open(&of_version(version)).unwrap_err();
        assert!(
            matches!(
                error,
                DataError::Unlock {
                    problem: UnlockError::Format { .. },
                    ..
                }
            ),
            "{error}"
        );
    }
}

#[test]
fn every_flipped_bit_and_every_shorter_file_is_refused() {
    let keys = keys();
    let (_, after, path) = sealed(&keys);
    let bytes = fs::read(&path).unwrap();
    let bad = keys.folder.path().join("bad.age");
    for position in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[position] ^= 1 << (position % 8);
        fs::write(&bad, &flipped).unwrap();
        let error = open(&bad, "case", &after, &keys.identity).unwrap_err();
        let refused = matches!(
            error,
            UnlockError::Damaged { .. } | UnlockError::NoMatchingKey
        );
        assert!(refused, "byte {position}: {error}");
        fs::write(&bad, &bytes[..position]).unwrap();
        let error = open(&bad, "case", &after, &keys.identity).unwrap_err();
        let refused = matches!(
            error,
            UnlockError::Damaged { .. } | UnlockError::NoMatchingKey
        );
        assert!(refused, "{position} bytes: {error}");
    }
    fs::write(&bad, [&bytes[..], b"more"].concat()).unwrap();
    assert!(open(&bad, "case", &after, &keys.identity).is_err());
}

#[test]
fn keys_are_private_and_never_repeated() {
    let keys = keys();
    let secret = fs::read_to_string(&keys.identity).unwrap();
    let secret = secret.lines().find(|line| line.starts_with("AGE")).unwrap();
    let error = Recipients::default().add(secret).unwrap_err().to_string();
    assert!(
        error.contains("secret key") && !error.contains(secret),
        "{error}"
    );
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(&keys.identity).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    // An existing key is not overwritten.
    assert!(matches!(
        generate_identity(&keys.identity),
        Err(DataError::Io { .. })
    ));
    let damaged = keys.folder.path().join("damaged.key");
    for content in ["", "# nothing", &secret[..40]] {
        fs::write(&damaged, content).unwrap();
        let error = Identities::open(&damaged).err().unwrap();
        assert!(matches!(error, DataError::Unlock { .. }), "{error}");
        assert!(!error.to_string().contains("SECRET-KEY-1Q"), "{error}");
    }
    let case = Named {
        paths: vec![],
        ..named("case")
    };
    let nobody = Recipients::default();
    let error = seal_residual(&case.residual(), &[], &[], &nobody, &damaged).unwrap_err();
    assert!(error.to_string().contains("no recipient"), "{error}");
}

/// A key typed where its file belongs is in no message, in capitals or not.
#[test]
fn a_key_in_place_of_its_file_is_not_repeated() {
    let keys = keys();
    let secret = fs::read_to_string(&keys.identity).unwrap();
    let secret = secret.lines().find(|line| line.starts_with("AGE")).unwrap();
    for typed in [secret.to_string(), secret.to_lowercase()] {
        let path = Path::new(&typed);
        for error in [
            Identities::open(path).err().unwrap(),
            Recipients::default().add_file(path).unwrap_err(),
            SigningKey::open(path).err().unwrap(),
            PublicKey::open(path).unwrap_err(),
            generate_identity(path).unwrap_err(),
        ] {
            let told = format!("{error} {error:?}").to_lowercase();
            assert!(told.contains("not the name of a file"), "{told}");
            assert!(!told.contains(&secret.to_lowercase()[..20]), "{told}");
        }
        assert!(!path.exists());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Any bits, so that floats are NaN, infinite and denormal too.
    #[test]
    fn any_voxels_of_any_datatype_come_back(bytes in prop::collection::vec(any::<(u8, u8)>(), 96), datatype in 0..DATATYPES.len(), big: bool, two: bool) {
        let keys = keys();
        let (code, bits) = DATATYPES[datatype];
        let voxels = 96 * 8 / i64::from(bits);
        let (before, after): (Vec<u8>, Vec<u8>) = bytes.into_iter().unzip();
        let volume = |name: &str, voxels_bytes: Vec<u8>| {
            let mut file = Nifti::new(&[2, 3, voxels / 6], code, voxels_bytes);
            (file.big, file.two) = (big, two);
            write(keys.folder.path(), name, &file.bytes())
        };
        let (before, after) = (volume("a.nii", before), volume("b.nii", after));
        let path = keys.folder.path().join("c.age");
        seal(&keys, "c", &before, &after, &path);
        let restored = open(&path, "c", &after, &keys.identity).unwrap();
        prop_assert_eq!(restored.content_sha256(), before.content_sha256());
    }
}

/// What a finished output remembers of its recipients: the set, whatever its order.
#[test]
fn the_fingerprint_of_recipients_is_that_of_their_set() {
    let folder = tempfile::tempdir().unwrap();
    let key = |name: &str| generate_identity(&folder.path().join(name)).unwrap();
    let (a, b) = (key("a"), key("b"));
    let of = |texts: &[&String]| {
        let mut recipients = Recipients::default();
        texts.iter().for_each(|text| recipients.add(text).unwrap());
        recipients.fingerprint()
    };
    assert_eq!(of(&[]), None);
    let both = of(&[&a, &b]).unwrap();
    assert_eq!(of(&[&b, &a, &b]), Some(both.clone()));
    let mut lines = [a.clone(), b.clone()];
    lines.sort();
    let text = lines.map(|line| line + "\n").concat();
    assert_eq!(both, voxshield_data::sha256_bytes(text.as_bytes()));
    assert_ne!(of(&[&a]), Some(both));
}
