//! int8 artefacts that the reference implementation wrote (`tests/golden/i_artifact`), whole and damaged.

use std::fs;

use ndarray::{Ix4, s};
use proptest::prelude::*;
use serde_json::{Value, json};
use voxshield_data::{Artefact, DataError};

use crate::support::{Fixture, golden};

const STORES: [(&str, &str); 2] = [
    ("files_store", "files/00000000.pt"),
    ("shards_store", "shards/shard_00000.pt"),
];

#[test]
fn both_strategies_hold_the_noise_that_was_put_in() {
    let fixture = Fixture::open("i_quantise.safetensors");
    let first = fixture.f32::<Ix4>("dequantised");
    let second = first.slice(s![.., .., .., ..;-1]).mapv(|v| -v);
    for (store, _) in STORES {
        let artefact = Artefact::open(&golden("i_artifact").join(store)).unwrap();
        assert_eq!(artefact.shape(), [1, 8, 8, 16]);
        assert_eq!(artefact.keys().collect::<Vec<_>>(), ["case_a", "case_b"]);
        assert_eq!(artefact.read("case_a").unwrap(), first, "{store}");
        assert_eq!(artefact.read(" Case_B\n").unwrap(), second, "{store}");
        let error = artefact.read("case_c").unwrap_err();
        assert!(error.to_string().contains("case_c"), "{error}");
    }
}

/// A store with other bytes in one file, or another manifest.
fn store(name: &str, file: &str, bytes: Option<&[u8]>, manifest: &Value) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let original = fs::read(golden("i_artifact").join(name).join(file)).unwrap();
    let target = folder.path().join(file);
    fs::create_dir_all(target.parent().unwrap()).unwrap();
    fs::write(&target, bytes.unwrap_or(&original)).unwrap();
    fs::write(folder.path().join("manifest.json"), manifest.to_string()).unwrap();
    folder
}

fn manifest(name: &str) -> Value {
    let path = golden("i_artifact").join(name).join("manifest.json");
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// The error of `case_a` with one value of the manifest replaced.
fn error_with(pointer: &str, value: Value) -> DataError {
    let (name, file) = STORES[1];
    let mut manifest = manifest(name);
    *manifest.pointer_mut(pointer).unwrap() = value;
    let folder = store(name, file, None, &manifest);
    let result = Artefact::open(folder.path()).and_then(|artefact| artefact.read("case_a"));
    result.unwrap_err()
}

#[test]
fn manifests_that_say_something_else_are_refused() {
    for (pointer, value, words) in [
        ("/version", json!(2), "version 2"),
        ("/dtype", json!("float32"), "float32"),
        ("/strategy", json!("table"), "strategy"),
        ("/scale", json!(0.0), "scale"),
        ("/scale", json!(1e300), "scale"),
        ("/image_size", json!([1, 8, 0, 16]), "size"),
        ("/image_size", json!([1, 8, 16, 8]), "shape"),
        ("/image_size", json!([1, 8, 8, u64::MAX]), "shape"),
        ("/entries/0/keys", json!(["case_a", "CASE_A "]), "twice"),
        ("/entries/0/keys", json!(["case_b", "case_a"]), "keys"),
        ("/entries/0/keys", json!(["case_a"]), "keys"),
        ("/strategy", json!("files"), "one key"),
    ] {
        let error = error_with(pointer, value);
        assert!(matches!(error, DataError::Artefact { .. }), "{error}");
        assert!(error.to_string().contains(words), "{words}: {error}");
    }
    let error = error_with("/entries/0/path", json!("../shard.pt"));
    assert!(matches!(error, DataError::UnsafePath { .. }), "{error}");
    let error = error_with("/entries/0/path", json!("shards/none.pt"));
    assert!(matches!(error, DataError::Io { .. }), "{error}");
    let error = error_with("/entries", json!("none"));
    assert!(matches!(error, DataError::Json { .. }), "{error}");
}

/// Replaces every occurrence; there must be `count`.
fn replace(bytes: &mut [u8], from: &[u8], to: &[u8], count: usize) {
    let places: Vec<usize> = (0..bytes.len())
        .filter(|&at| bytes[at..].starts_with(from))
        .collect();
    assert_eq!((places.len(), to.len()), (count, from.len()));
    for at in places {
        bytes[at..at + to.len()].copy_from_slice(to);
    }
}

/// A file of 3 KB whose tensor says that it repeats one code 255^4 times.
#[test]
fn a_view_that_is_larger_than_its_file_takes_no_memory() {
    let (name, file) = STORES[0];
    let mut bytes = original();
    let checksum = |bytes: &[u8]| {
        let start = bytes.iter().position(|&byte| byte == 0x80).unwrap();
        let mut crc = flate2::Crc::new();
        crc.update(&bytes[start..start + 209]);
        crc.sum().to_le_bytes()
    };
    let before = checksum(&bytes);
    // Shape and strides of the pickle.
    replace(
        &mut bytes,
        b"(K\x01K\x08K\x08K\x10t",
        b"(K\xffK\xffK\xffK\xfft",
        1,
    );
    replace(
        &mut bytes,
        b"(M\x00\x04K\x80K\x10K\x01t",
        b"(M\x00\x00K\x00K\x00K\x00t",
        1,
    );
    let after = checksum(&bytes);
    replace(&mut bytes, &before, &after, 2);
    let mut manifest = manifest(name);
    manifest["image_size"] = json!([255, 255, 255, 255]);
    let folder = store(name, file, Some(&bytes), &manifest);
    let artefact = Artefact::open(folder.path()).unwrap();
    let error = artefact.read("case_a").unwrap_err();
    assert!(
        error.to_string().contains("at least 4228250625 bytes"),
        "{error}"
    );
}

fn read(bytes: &[u8]) -> Result<(), DataError> {
    let (name, file) = STORES[0];
    let mut manifest = manifest(name);
    manifest["entries"].as_array_mut().unwrap().truncate(1);
    let folder = store(name, file, Some(bytes), &manifest);
    let artefact = Artefact::open(folder.path())?;
    artefact
        .read("case_a")
        .map(|array| assert_eq!(array.len(), 1024))
}

fn original() -> Vec<u8> {
    fs::read(golden("i_artifact").join(STORES[0].0).join(STORES[0].1)).unwrap()
}

#[test]
fn damaged_files_and_other_contents_are_refused() {
    read(&original()).unwrap();
    let bytes = original();
    let mut flipped = bytes.clone();
    // Inside the tensor's bytes, 0x300 to 0x700: the checksum of the entry finds it.
    flipped[0x400] ^= 1;
    for (bad, what) in [
        (flipped, "one bit of the tensor"),
        (bytes[..bytes.len() / 2].to_vec(), "half of the file"),
        (b"case_a".to_vec(), "no zip"),
        (vec![], "nothing"),
    ] {
        let error = read(&bad).expect_err(what);
        assert!(matches!(error, DataError::Artefact { .. }), "{error}");
        assert!(error.to_string().contains("00000000.pt"), "{error}");
    }
    // Sparse entries of TAR archives have any length.
    let mut tar = vec![0; 1024];
    tar[257..262].copy_from_slice(b"ustar");
    let error = read(&tar).unwrap_err().to_string();
    assert!(error.contains("expected the zip format"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_cause_a_panic(
        edits in prop::collection::vec((0..2672_usize, any::<u8>()), 1..8),
        length in 0..5000_usize,
    ) {
        let mut bytes = original();
        for (at, value) in edits {
            bytes[at] = value;
        }
        bytes.truncate(length);
        if let Err(error) = read(&bytes) {
            prop_assert!(error.to_string().contains("00000000.pt"), "no path in: {error}");
        }
    }
}
