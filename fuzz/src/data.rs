//! Volumes, datasets, manifests, residuals, DICOM: what needs no Burn.

use std::fs;
use std::io::Write;
use std::path::Path;

use voxshield_data::{
    DataError, Identities, LabelMap, Manifest, PhantomConfig, PublicKey, Recipients, ResidualCase,
    SigningKey, StoredVolume, Volume, discover, generate_identity, generate_signing_key,
    import_dicom, open_decrypted_residual, open_residual, seal_residual, write_phantom_dataset,
};

use crate::target::{Prepared, Target, prepared, put};

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
    Target::new(|folder| prepare(name, folder))
}

fn prepare(name: &str, path: &Path) -> Option<Prepared> {
    let clean = path.join("clean");
    write_phantom_dataset(&clean, 1, &PhantomConfig::new([6, 5, 7], 1)).ok()?;
    let image = clean.join("imagesTr/case_000_0000.nii.gz");
    let volume = StoredVolume::read(&image).ok()?;
    let plain = path.join("plain.nii");
    volume.write_atomic(&plain).ok()?;
    let bytes = |path: &Path| fs::read(path).unwrap_or_default();
    Some(match name {
        "header" => prepared(|_, bytes| read("a.nii", bytes), vec![bytes(&plain)]),
        "gzip" => {
            let label = clean.join("labelsTr/case_000.nii.gz");
            prepared(gzip, vec![bytes(&image), bytes(&label)])
        }
        "extensions" => {
            let comment = [&32i32.to_le_bytes()[..], &6i32.to_le_bytes(), &[b'a'; 24]].concat();
            let file = bytes(&plain);
            prepared(
                move |_, bytes| extensions(&file, bytes),
                vec![comment.clone(), [&comment[..], &comment].concat()],
            )
        }
        "dataset_json" => {
            let decathlon = br#"{"modality": {"0": "CT"}, "labels": {"0": "background", "1": "a"}, "training": [{"image": "./imagesTr/case_000_0000.nii.gz", "label": "./labelsTr/case_000.nii.gz"}], "test": []}"#;
            let nnunet = bytes(&clean.join("dataset.json"));
            prepared(dataset_json, vec![nnunet, decathlon.to_vec()])
        }
        "manifest" => prepared(manifest, vec![MANIFEST.to_vec()]),
        "signature" => {
            let public = generate_signing_key(&path.join("signing")).ok()?;
            let seeds = vec![bytes(&path.join("signing")), bytes(&public), vec![7; 64]];
            let key = PublicKey::open(&public).ok()?;
            fs::write(path.join("voxshield.json"), MANIFEST).ok()?;
            prepared(move |folder, bytes| signature(&key, folder, bytes), seeds)
        }
        "sealed" | "residual" => {
            let key_file = path.join("key");
            let recipient = generate_identity(&key_file).ok()?;
            let mut recipients = Recipients::default();
            recipients.add(&recipient).ok()?;
            let sealed = path.join("seed.age");
            let files = [plain.clone()];
            let names = ["images/case.nii".to_owned()];
            seal_residual(&case(&names), &files, &files, &recipients, &sealed).ok()?;
            let sealed = bytes(&sealed);
            let original = volume.content_sha256();
            // Original and protected are the same here: nothing else may come out.
            let check = move |restored: Result<Vec<StoredVolume>, DataError>| {
                if let Ok(restored) = restored {
                    assert_eq!(restored[0].content_sha256(), original);
                }
            };
            if name == "sealed" {
                let identities = Identities::open(&key_file).ok()?;
                let run = move |folder: &Path, bytes: &[u8]| {
                    let sealed = put(folder, "a.age", bytes);
                    check(open_residual(&sealed, &case(&names), &files, &identities));
                };
                return Some(prepared(run, vec![sealed]));
            }
            let text = fs::read_to_string(&key_file).ok()?;
            let key: age::x25519::Identity = text.lines().find_map(|line| line.parse().ok())?;
            let run = move |_: &Path, bytes: &[u8]| {
                let name = Path::new("a.age");
                check(open_decrypted_residual(bytes, name, &case(&names), &files));
            };
            prepared(run, vec![age::decrypt(&key, &sealed).ok()?])
        }
        "dicom" => {
            let series = path.join("series");
            fs::create_dir(&series).ok()?;
            put(&series, "2", DICOM);
            prepared(dicom, vec![DICOM.to_vec()])
        }
        _ => return None,
    })
}

fn case(paths: &[String]) -> ResidualCase<'_> {
    ResidualCase {
        id: "case",
        paths,
        labels: &[],
    }
}

const MANIFEST: &[u8] = br#"{"format": 1, "program": "voxshield", "version": "0.1.0", "layout": "plain", "method": {"name": "x"}, "epsilon": 0.015, "support": "roi", "seed": 1, "device": "cpu", "normalisation": [{"channel": "CT", "modality": null, "normalisation": {"window": {"lo": 0.0, "hi": 1.0}}}], "cases": [{"id": "a", "files": [{"path": "images/a.nii.gz", "sha256_before": "00", "sha256_after": "11", "content_before": ["44"]}], "labels": [{"path": "labels/a.nii.gz", "sha256": "22"}], "unlock": {"path": "voxshield-unlock/images/a.nii.gz.age", "sha256": "33"}, "ranges": [{"lo": 0.0, "hi": 1.0}], "epsilon_stored": [3, null], "achieved": 0.1, "changed_voxels": 7, "support_voxels": 8, "psnr_db": null, "ssim": 0.9, "seconds": 1.0}], "failed": [], "skipped": [{"id": "b", "path": "images/b.nii.gz", "reason": "r"}], "others": [{"path": "dataset.json", "sha256": "55"}]}"#;
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

/// The bytes as a gzip file, and compressed, so that both the stream and what is in it are tried.
fn gzip(_: &Path, bytes: &[u8]) {
    read("a.nii.gz", bytes);
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("memory");
    read("a.nii.gz", &encoder.finish().expect("memory"));
}

/// Extensions between a good header and good voxels.
fn extensions(plain: &[u8], bytes: &[u8]) {
    let mut file = plain.to_vec();
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
        let others = manifest.others.iter().flatten();
        let others = others.map(|other| other.path.as_str());
        for path in manifest
            .cases
            .iter()
            .flat_map(|case| case.paths())
            .chain(others)
        {
            let path = Path::new(path);
            assert!(
                path.is_relative() && !path.components().any(|part| part.as_os_str() == ".."),
                "{path:?}"
            );
        }
    }
}

fn signature(key: &PublicKey, folder: &Path, bytes: &[u8]) {
    let _ = SigningKey::open(&put(folder, "k.pem", bytes));
    let _ = PublicKey::open(&put(folder, "k.pub", bytes));
    put(folder, "voxshield.json.sig", bytes);
    assert!(
        key.check(&folder.join("voxshield.json")).is_err(),
        "nobody signed"
    );
}

/// Beside a good slice.
fn dicom(folder: &Path, bytes: &[u8]) {
    let series = folder.join("series");
    put(&series, "1", bytes);
    let _ = import_dicom(&series, &folder.join("imported"), &mut |_| {});
}
