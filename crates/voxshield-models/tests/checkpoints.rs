//! PyTorch checkpoints (`tests/golden/README.md`).

use std::path::{Path, PathBuf};

use voxshield_models::{
    Activation, Network, NnUnetConfig, NnUnetEncoder, ResidualUnetConfig, Segmenter, WeightsError,
    load_weights, read_weights, save_weights,
};
use voxshield_testkit::{Golden, assert_close, device};

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/golden")
        .join(name)
}

fn unet() -> ResidualUnetConfig {
    ResidualUnetConfig {
        in_channels: 1,
        out_channels: 3,
        channels: vec![2, 4],
        strides: vec![2],
        res_units: 1,
        activation: Activation::Relu,
    }
}

#[test]
fn checkpoints_of_monai_are_loaded_by_name() {
    let golden = Golden::open("n_checkpoints");
    let input = golden.tensor::<5>("monai_unet.input", &device());
    let expected = golden.values("monai_unet.output");
    for name in ["checkpoint_monai_unet.pt", "checkpoint_training.pt"] {
        let network = unet().init(0, &device()).expect("valid");
        let network = load_weights(network, &path(name)).expect("loaded");
        let output: Vec<f32> = network.forward(input.clone()).into_data().iter().collect();
        assert_close(name, &output, &expected, 2e-5);
    }
}

/// The file also holds every tensor of the encoder again under the decoder and under
/// `all_modules`, the optimiser's state, plans, and NumPy scalars.
#[test]
fn a_checkpoint_of_nnunet_is_loaded_by_name() {
    let golden = Golden::open("n_checkpoints");
    let config = NnUnetConfig {
        encoder: NnUnetEncoder::Plain,
        in_channels: 1,
        classes: 3,
        features: vec![2, 4],
        kernels: vec![[1, 3, 3], [3, 3, 3]],
        strides: vec![[1, 1, 1], [1, 2, 2]],
        blocks: vec![2, 2],
        decoder_convs: vec![2],
    };
    let network = config.init(0, &device()).expect("valid");
    let network = load_weights(network, &path("checkpoint_nnunet.pth")).expect("loaded");
    let input = golden.tensor::<5>("nnunet.input", &device());
    let output: Vec<f32> = network.forward(input).into_data().iter().collect();
    assert_close("nnunet", &output, &golden.values("nnunet.output"), 2e-5);
}

#[test]
fn prefixes_of_training_wrappers_are_removed() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("wrapped.safetensors");
    let plain = read_weights(&path("checkpoint_monai_unet.pt")).expect("readable");
    let wrapped = plain
        .iter()
        .map(|(name, data)| (format!("module._orig_mod.{name}"), data.clone()))
        .collect();
    voxshield_models::write_weights(&wrapped, &file).expect("written");
    assert_eq!(read_weights(&file).expect("readable"), plain);
}

#[test]
fn a_checkpoint_of_another_network_is_refused_with_what_differs() {
    let network = ResidualUnetConfig::narrow(1, 3).init(0, &device());
    let error = load_weights(network.expect("valid"), &path("checkpoint_monai_unet.pt"))
        .expect_err("refused");
    let message = error.to_string();
    let WeightsError::Mismatch {
        missing, shapes, ..
    } = &error
    else {
        panic!("expected Mismatch, got {message}");
    };
    assert!(!missing.is_empty() && !shapes.is_empty(), "{message}");
    for part in ["missing", "of another shape", "more", "expected ["] {
        assert!(message.contains(part), "{part}: {message}");
    }
    assert!(message.len() < 1500, "{message}");
}

#[test]
fn a_boxed_network_is_saved_and_loaded() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("unet.safetensors");
    let config = unet();
    save_weights(&config.init(5, &device()).expect("valid"), &file).expect("saved");
    let other: Box<dyn Network> = Box::new(config.init(6, &device()).expect("valid"));
    let loaded = other.with_weights(&read_weights(&file).expect("readable"));
    let expected = Network::weights(&config.init(5, &device()).expect("valid"));
    assert_eq!(
        loaded.expect("loaded").weights().expect("readable"),
        expected.expect("readable")
    );
}

/// What a file takes in memory is bounded by what it is long, before any of it is taken.
#[test]
fn checkpoints_that_say_more_than_they_hold_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("checkpoint.pt");
    let refusal = |bytes: &[u8]| {
        std::fs::write(&file, bytes).expect("written");
        match read_weights(&file).expect_err("refused") {
            error @ WeightsError::Checkpoint { .. } => error.to_string(),
            other => panic!("expected Checkpoint, got {other}"),
        }
    };
    // One float that a stride of 0 repeats 0x1234 x 0x10000 times, in the format before 1.6, which has no checksums.
    let view = [
        &b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03."[..],
        b"\x80\x02}X\x0d\x00\x00\x00little_endian\x88s.",
        b"\x80\x02}X\x01\x00\x00\x00actorch._utils\n_rebuild_tensor_v2\n",
        b"((X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x01NtQ",
        b"K\x00M\x34\x12J\x00\x00\x01\x00\x86K\x00K\x00\x86\x89}tRs.",
        b"\x80\x02]X\x01\x00\x00\x000a.\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00",
    ];
    let message = refusal(&view.concat());
    assert!(message.contains("1221591040 bytes of weights"), "{message}");
    let mut zip = std::fs::read(path("checkpoint_monai_unet.pt")).expect("readable");
    let directory = zip.windows(4).rposition(|bytes| bytes == b"PK\x01\x02");
    let size = directory.expect("an entry") + 24;
    zip[size..size + 4].copy_from_slice(&0x7fff_ffffu32.to_le_bytes());
    let message = refusal(&zip);
    assert!(message.contains("longer than the file"), "{message}");
    // Sparse entries of TAR archives have any length.
    let mut tar = vec![0; 1024];
    tar[257..262].copy_from_slice(b"ustar");
    let message = refusal(&tar);
    assert!(message.contains("TAR archives"), "{message}");
}
