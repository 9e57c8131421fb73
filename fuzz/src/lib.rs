//! What is done with untrusted bytes: one function a kind of file. A target passes when it returns, whatever it returns.
//!
//! `cargo +nightly fuzz run NAME` runs one with coverage; `tests/fuzz.rs` of voxshield-data runs all of them on stable with mutated seeds.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use voxshield_data::{
    Identities, LabelMap, Manifest, PhantomConfig, PublicKey, Recipients, SigningKey, StoredVolume,
    Volume, discover, generate_identity, generate_signing_key, import_dicom, open_residual,
    seal_residual, write_phantom_dataset,
};

/// A function of bytes, with a folder to work in and seeds to begin with.
pub struct Target {
    folder: tempfile::TempDir,
    run: fn(&Path, &[u8]),
    /// Inputs that are valid, or nearly.
    pub seeds: Vec<Vec<u8>>,
}

impl Target {
    /// Runs the function.
    pub fn run(&self, bytes: &[u8]) {
        (self.run)(self.folder.path(), bytes);
    }

    /// For cargo-fuzz: puts the seeds into the corpus, the folder among the arguments of cargo-fuzz. Some of them are made with keys of this process, and
    /// are of no use in another.
    pub fn seed_corpus(&self) {
        if let Some(corpus) = std::env::args()
            .skip(1)
            .find(|argument| Path::new(argument).is_dir())
        {
            for (number, seed) in self.seeds.iter().enumerate() {
                put(Path::new(&corpus), &format!("seed-{number}"), seed);
            }
        }
    }
}

/// The names of all targets.
pub const NAMES: [&str; 9] = [
    "header",
    "gzip",
    "extensions",
    "dataset_json",
    "manifest",
    "signature",
    "sealed",
    "residual",
    "dicom",
];

/// A target by its name.
pub fn target(name: &str) -> Option<Target> {
    // Memory where there is such a folder: the disk is not what is tested.
    let shared = Path::new("/dev/shm");
    let place = if shared.is_dir() {
        shared.to_path_buf()
    } else {
        std::env::temp_dir()
    };
    let folder = tempfile::tempdir_in(place).ok()?;
    let path = folder.path();
    let clean = path.join("clean");
    write_phantom_dataset(&clean, 1, &PhantomConfig::new([6, 5, 7], 1)).ok()?;
    let image = clean.join("imagesTr/case_000_0000.nii.gz");
    let volume = StoredVolume::read(&image).ok()?;
    let plain = path.join("plain.nii");
    volume.write_atomic(&plain).ok()?;
    let bytes = |path: &Path| fs::read(path).unwrap_or_default();
    let (run, seeds): (fn(&Path, &[u8]), _) = match name {
        "header" => (header, vec![bytes(&plain)]),
        "gzip" => (
            gzip,
            vec![
                bytes(&image),
                bytes(&clean.join("labelsTr/case_000.nii.gz")),
            ],
        ),
        "extensions" => {
            let comment = [&32i32.to_le_bytes()[..], &6i32.to_le_bytes(), &[b'a'; 24]].concat();
            (
                extensions,
                vec![comment.clone(), [&comment[..], &comment].concat()],
            )
        }
        "dataset_json" => {
            let decathlon = br#"{"modality": {"0": "CT"}, "labels": {"0": "background", "1": "a"}, "training": [{"image": "./imagesTr/case_000_0000.nii.gz", "label": "./labelsTr/case_000.nii.gz"}], "test": []}"#;
            (
                dataset_json,
                vec![bytes(&clean.join("dataset.json")), decathlon.to_vec()],
            )
        }
        "manifest" => (manifest, vec![MANIFEST.to_vec()]),
        "signature" => {
            let public = generate_signing_key(&path.join("signing")).ok()?;
            let seeds = vec![bytes(&path.join("signing")), bytes(&public), vec![7; 64]];
            fs::write(path.join("voxshield.json"), MANIFEST).ok()?;
            (signature, seeds)
        }
        "sealed" | "residual" => {
            let mut recipients = Recipients::default();
            recipients
                .add(&generate_identity(&path.join("key")).ok()?)
                .ok()?;
            let sealed = path.join("seed.age");
            let files = [plain.clone()];
            seal_residual("case", &files, &files, &recipients, &sealed).ok()?;
            let key: age::x25519::Identity = key(path)?;
            let encrypted = bytes(&sealed);
            match name {
                "sealed" => (sealed_file, vec![encrypted]),
                _ => (residual, vec![age::decrypt(&key, &encrypted).ok()?]),
            }
        }
        "dicom" => (dicom, vec![DICOM.to_vec()]),
        _ => return None,
    };
    Some(Target { folder, run, seeds })
}

const MANIFEST: &[u8] = br#"{"format": 1, "program": "voxshield", "version": "0.1.0", "layout": "plain", "method": {"name": "x"}, "epsilon": 0.015, "support": "roi", "seed": 1, "device": "cpu", "normalisation": [{"channel": "CT", "modality": null, "normalisation": {"window": {"lo": 0.0, "hi": 1.0}}}], "cases": [{"id": "a", "files": [{"path": "images/a.nii.gz", "sha256_before": "00", "sha256_after": "11"}], "labels": [{"path": "labels/a.nii.gz", "sha256": "22"}], "unlock": {"path": "voxshield-unlock/images/a.nii.gz.age", "sha256": "33"}, "ranges": [{"lo": 0.0, "hi": 1.0}], "epsilon_stored": [3, null], "achieved": 0.1, "changed_voxels": 7, "support_voxels": 8, "psnr_db": null, "ssim": 0.9, "seconds": 1.0}], "failed": [], "skipped": [{"id": "b", "path": "images/b.nii.gz", "reason": "r"}]}"#;
/// A slice of two by two voxels, by hand.
const DICOM: &[u8] = include_bytes!("../seeds/slice.dcm");

/// In memory: the disk is not what is tested, and takes most of the time.
fn read(name: &str, bytes: &[u8]) {
    let name = Path::new(name);
    if let Ok(stored) = StoredVolume::from_bytes(name, bytes) {
        let _ = stored.identifying_fields();
        let _ = stored.content_sha256();
        let _ = Volume::from_files(vec![stored]);
    }
    let _ = LabelMap::from_bytes(name, bytes);
}

fn put(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, bytes).expect("a file in the target's folder");
    path
}

fn header(_: &Path, bytes: &[u8]) {
    read("a.nii", bytes);
}

/// The bytes as a gzip file, and compressed, so that both the stream and what is in it are tried.
fn gzip(_: &Path, bytes: &[u8]) {
    read("a.nii.gz", bytes);
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("memory");
    read("a.nii.gz", &encoder.finish().expect("memory"));
}

/// Extensions between a good header and good voxels.
fn extensions(folder: &Path, bytes: &[u8]) {
    let mut file = fs::read(folder.join("plain.nii")).expect("the seed");
    let voxels = file.split_off(352);
    file[348] = 1;
    file.extend(bytes);
    file.resize(file.len().next_multiple_of(16), 0);
    let offset = file.len() as f32;
    file[108..112].copy_from_slice(&offset.to_le_bytes());
    file.extend(voxels);
    read("a.nii", &file);
}

fn dataset_json(folder: &Path, bytes: &[u8]) {
    let clean = folder.join("clean");
    put(&clean, "dataset.json", bytes);
    if let Ok(dataset) = discover(&clean) {
        for path in dataset
            .cases
            .iter()
            .flat_map(|case| case.images.iter().chain(&case.label))
        {
            assert!(dataset.root.join(path).starts_with(&dataset.root));
            assert!(
                !path.components().any(|part| part.as_os_str() == ".."),
                "{path:?}"
            );
        }
    }
}

fn manifest(folder: &Path, bytes: &[u8]) {
    if let Ok(manifest) = Manifest::read(&put(folder, "m.json", bytes)) {
        for path in manifest.cases.iter().flat_map(|case| case.paths()) {
            let path = Path::new(path);
            assert!(
                path.is_relative() && !path.components().any(|part| part.as_os_str() == ".."),
                "{path:?}"
            );
        }
    }
}

fn signature(folder: &Path, bytes: &[u8]) {
    let _ = SigningKey::open(&put(folder, "k.pem", bytes));
    let _ = PublicKey::open(&put(folder, "k.pub", bytes));
    put(folder, "voxshield.json.sig", bytes);
    let key = PublicKey::open(&folder.join("signing.pub")).expect("the seed");
    assert!(
        key.check(&folder.join("voxshield.json")).is_err(),
        "nobody signed"
    );
}

fn key(folder: &Path) -> Option<age::x25519::Identity> {
    let text = fs::read_to_string(folder.join("key")).ok()?;
    text.lines().find_map(|line| line.parse().ok())
}

/// Bytes in place of the encrypted file.
fn sealed_file(folder: &Path, bytes: &[u8]) {
    open(folder, bytes);
}

/// Bytes in place of what is encrypted.
fn residual(folder: &Path, bytes: &[u8]) {
    let recipient = key(folder).expect("the seed").to_public();
    open(folder, &age::encrypt(&recipient, bytes).expect("memory"));
}

fn open(folder: &Path, bytes: &[u8]) {
    let identities = Identities::open(&folder.join("key")).expect("the seed");
    let plain = folder.join("plain.nii");
    let sealed = put(folder, "a.age", bytes);
    if let Ok(restored) = open_residual(&sealed, "case", std::slice::from_ref(&plain), &identities)
    {
        // Original and protected are the same here: nothing else may come out.
        let original = StoredVolume::content_sha256_of(&plain).expect("the seed");
        assert_eq!(restored[0].content_sha256(), original);
    }
}

fn dicom(folder: &Path, bytes: &[u8]) {
    let series = folder.join("series");
    fs::create_dir_all(&series).expect("a folder");
    put(&series, "1", bytes);
    put(&series, "2", DICOM);
    let _ = import_dicom(&series, &folder.join("imported"), &mut |_| {});
}
