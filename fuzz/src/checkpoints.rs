//! Networks and the state of a training, in files. These targets need Burn: the feature `checkpoints`.

use std::fs;
use std::path::Path;

use voxshield::burn::store::burn_pack::{Scalar, Tensor, Writer};
use voxshield::burn::tensor::{Bytes, DType};
use voxshield::models::{
    TensorMap, read_description, read_weights, write_described_weights, write_weights,
};
use voxshield::perturb::TrainingState;
use voxshield::pipeline::SavedGenerator;

use crate::target::{Target, prepared, put};

/// The names of all targets.
pub const NAMES: [&str; 4] = ["weights", "checkpoint", "pickle", "training_state"];

/// A target by its name.
pub fn target(name: &str) -> Option<Target> {
    Target::new(|folder| {
        Some(match name {
            "weights" => prepared(weights, weights_seeds(folder)?),
            "checkpoint" => prepared(
                weights,
                vec![CHECKPOINT.to_vec(), TRAINING.to_vec(), legacy(&pickles())],
            ),
            "pickle" => prepared(pickle, vec![pickles()]),
            "training_state" => prepared(training_state, vec![state()?]),
            _ => return None,
        })
    })
}

const CHECKPOINT: &[u8] = include_bytes!("../../tests/golden/checkpoint_monai_unet.pt");
const TRAINING: &[u8] = include_bytes!("../../tests/golden/checkpoint_training.pt");
/// What `protect --save-generator` says of shared noise.
const GENERATOR: &str = include_str!("../seeds/generator.json");

/// What a caller may take a file for: weights of whatever kind, or a generator.
fn weights(folder: &Path, bytes: &[u8]) {
    let path = put(folder, "weights", bytes);
    if let Ok(tensors) = read_weights(&path) {
        check(&tensors, bytes.len());
    }
    let _ = read_description(&path);
    let _ = SavedGenerator::open(&path);
}

/// Whatever is read has the values that its shape promises, and not many more than the file has.
fn check(tensors: &TensorMap, length: usize) {
    let mut all = 0;
    for (name, data) in tensors {
        let values: usize = data.shape().iter().product();
        assert_eq!(data.bytes().len(), values * data.dtype().size(), "{name}");
        all += data.bytes().len();
    }
    assert!(
        all <= 16 * length,
        "{all} bytes of tensors in a file of {length}"
    );
}

fn weights_seeds(folder: &Path) -> Option<Vec<Vec<u8>>> {
    let tensors: TensorMap = read_weights(&put(folder, "seed.pt", CHECKPOINT)).ok()?;
    let path = folder.join("seed.safetensors");
    write_weights(&tensors, &path).ok()?;
    let plain = fs::read(&path).ok()?;
    write_described_weights(&TensorMap::new(), GENERATOR, &path).ok()?;
    SavedGenerator::open(&path).expect("seeds/generator.json as this version writes it");
    Some(vec![plain, fs::read(&path).ok()?])
}

/// The pickles that a checkpoint of PyTorch before 1.6 begins with: magic number, version and byte order. That format has no checksums, so
/// that changes get past them.
fn legacy(rest: &[u8]) -> Vec<u8> {
    const MAGIC: &[u8] = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";
    const VERSION: &[u8] = b"\x80\x02M\xe9\x03.";
    const SYSTEM: &[u8] = b"\x80\x02}X\x0d\x00\x00\x00little_endian\x88s.";
    [MAGIC, VERSION, SYSTEM, rest].concat()
}

/// The other pickles and the values: `{"state_dict": {"a": <2 x 3 float32>}}`.
fn pickles() -> Vec<u8> {
    let weights = [
        &b"\x80\x02}X\x0a\x00\x00\x00state_dict}q\x00(X\x01\x00\x00\x00actorch._utils\n_rebuild_tensor_v2\n"[..],
        b"((X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x06NtQ",
        b"K\x00K\x02K\x03\x86K\x03K\x01\x86\x89}tRus.",
    ];
    let keys = b"\x80\x02]X\x01\x00\x00\x000a.";
    let mut bytes = [&weights.concat()[..], keys, &6i64.to_le_bytes()].concat();
    bytes.extend((0u8..6).flat_map(|value| f32::from(value).to_le_bytes()));
    bytes
}

/// Bytes in place of all but the beginning of a checkpoint.
fn pickle(folder: &Path, bytes: &[u8]) {
    let file = legacy(bytes);
    if let Ok(tensors) = read_weights(&put(folder, "checkpoint.pt", &file)) {
        check(&tensors, file.len());
    }
}

fn training_state(_: &Path, bytes: &[u8]) {
    if let Ok(state) = TrainingState::from_bytes(bytes) {
        let _ = state.to_bytes();
    }
}

/// A round of a surrogate with one parameter, as bytes.
fn state() -> Option<Vec<u8>> {
    let tensor = |name: &str| {
        let bytes = Bytes::from_bytes_vec(vec![0; 24]);
        Tensor::new(name.to_string(), DType::F32, vec![2, 3], None, bytes)
    };
    let tensors = ["surrogate-0/weights/a", "surrogate-0/moments/a/moment_1"].map(tensor);
    let bytes = Writer::new(Vec::from(tensors))
        .with_scalar("round", Scalar::UInt(1))
        .with_scalar("surrogate-0/counters/a/time", Scalar::UInt(7))
        .with_metadata("history", HISTORY)
        .with_metadata("descent", DESCENT)
        .into_bytes()
        .ok()?
        .to_vec();
    TrainingState::from_bytes(&bytes).expect("a state as this version writes it");
    Some(bytes)
}

const HISTORY: &str =
    r#"[{"round": 0, "surrogate_loss": 0.5, "noise_loss": 0.25, "terms": [["isc", 0.125]]}]"#;
const DESCENT: &str =
    r#"{"trained": 1, "surrogate_loss": 0.5, "drawn": 12, "untouched": [2], "snapshot": "1-00"}"#;
