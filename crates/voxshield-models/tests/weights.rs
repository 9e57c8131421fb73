//! Weight files: round trips, refusals, and what happens to the file.

use std::fs;
use std::path::{Path, PathBuf};

use burn::tensor::TensorData;
use safetensors::tensor::{Dtype, TensorView};
use tempfile::TempDir;
use voxshield_models::{
    NoiseGeneratorConfig, ResidualUnet, ResidualUnetConfig, WeightsError, load_parameters,
    load_weights, parameters, save_weights, write_described_weights,
};
use voxshield_testkit::device;

fn network(seed: u64) -> ResidualUnet {
    let config = ResidualUnetConfig::narrow(1, 2);
    config.init(seed, &device()).expect("valid")
}

fn saved(seed: u64) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("network.safetensors");
    save_weights(&network(seed), &path).expect("saved");
    (folder, path)
}

#[test]
fn a_round_trip_is_bit_exact() {
    let (_folder, path) = saved(1);
    let loaded = load_weights(network(2), &path).expect("loaded");
    let own = parameters(&network(1)).expect("readable");
    assert_eq!(parameters(&loaded).expect("readable"), own);
    assert_ne!(parameters(&network(2)).expect("readable"), own);
}

#[test]
fn loading_keeps_the_device_the_gradients_and_the_identities() {
    let (_folder, path) = saved(1);
    let config = ResidualUnetConfig::narrow(1, 2);
    let before = config.init(2, &device().autodiff()).expect("valid");
    let id = before.bottom.units[0].conv.weight.id;
    let after = load_weights(before, &path).expect("loaded");
    let weight = &after.bottom.units[0].conv.weight;
    assert_eq!(weight.id, id);
    assert!(weight.val().is_autodiff() && weight.val().is_require_grad());
}

#[test]
fn the_noise_generator_is_stored_under_the_names_of_its_wrapper() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("noise.safetensors");
    let config = NoiseGeneratorConfig {
        unet: ResidualUnetConfig::narrow(1, 1),
        epsilon: 0.1,
        band_limit: None,
    };
    let generator = config.init(1, &device()).expect("valid");
    save_weights(&generator, &path).expect("saved");
    let bytes = fs::read(&path).expect("readable");
    let file = safetensors::SafeTensors::deserialize(&bytes).expect("a safetensors file");
    assert!(
        file.names()
            .iter()
            .all(|name| name.starts_with("unet.model."))
    );
    let loaded = load_weights(config.init(2, &device()).expect("valid"), &path).expect("loaded");
    assert_eq!(
        parameters(&loaded).expect("readable"),
        parameters(&generator).expect("readable")
    );
}

#[test]
fn saving_replaces_the_file_and_leaves_nothing_else() {
    let (folder, path) = saved(1);
    save_weights(&network(2), &path).expect("saved again");
    let loaded = load_weights(network(3), &path).expect("loaded");
    let expected = parameters(&network(2)).expect("readable");
    assert_eq!(parameters(&loaded).expect("readable"), expected);
    let names: Vec<_> = fs::read_dir(folder.path())
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name())
        .collect();
    assert_eq!(names, ["network.safetensors"]);
}

/// Described weights are those of generators, which undo a protection.
#[cfg(unix)]
#[test]
fn described_weights_are_their_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let (folder, public) = saved(1);
    let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
    let tensors = parameters(&network(1)).expect("readable");
    let secret = folder.path().join("generator.safetensors");
    fs::copy(&public, &secret).expect("one with the rights of any file");
    write_described_weights(&tensors, "what it is", &secret).expect("saved");
    assert_eq!(mode(&secret), 0o600);
    // Other weights have the rights that the system gives to a new file.
    let plain = folder.path().join("plain");
    fs::write(&plain, b"").expect("written");
    assert_eq!(mode(&public), mode(&plain));
}

#[test]
fn a_file_that_cannot_be_replaced_leaves_nothing_behind() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("taken");
    fs::create_dir(&path).expect("a folder in the way");
    let error = save_weights(&network(1), &path).expect_err("refused");
    assert!(matches!(error, WeightsError::Io { .. }), "{error}");
    assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1);
}

#[test]
fn missing_unexpected_and_misshaped_tensors_are_all_listed() {
    let mut tensors = parameters(&network(1)).expect("readable");
    tensors.remove("model.0.residual.bias");
    let wrong = TensorData::new(vec![0.0f32; 4], [4]);
    tensors.insert("model.2.0.conv.bias".into(), wrong.clone());
    tensors.insert("head.weight".into(), wrong);
    let error = load_parameters(network(1), &tensors).expect_err("refused");
    let message = error.to_string();
    let WeightsError::Mismatch {
        missing,
        unexpected,
        shapes,
    } = error
    else {
        panic!("expected Mismatch, got {message}");
    };
    assert_eq!(missing, ["model.0.residual.bias"]);
    assert_eq!(unexpected, ["head.weight"]);
    assert_eq!(shapes.len(), 1);
    assert_eq!(shapes[0].name, "model.2.0.conv.bias");
    assert_eq!(
        (&shapes[0].expected, &shapes[0].found),
        (&vec![2], &vec![4])
    );
    assert!(message.contains("head.weight"), "{message}");
}

#[test]
fn files_of_another_kind_are_refused() {
    let missing = load_weights(network(1), Path::new("no/such/file.safetensors"));
    assert!(matches!(missing, Err(WeightsError::Io { .. })));

    let (folder, path) = saved(1);
    let bytes = fs::read(&path).expect("readable");
    let damaged = folder.path().join("damaged.safetensors");
    fs::write(&damaged, &bytes[..bytes.len() - 1]).expect("written");
    let error = load_weights(network(1), &damaged);
    assert!(matches!(error, Err(WeightsError::Format { .. })));

    let boolean = folder.path().join("boolean.safetensors");
    let view = TensorView::new(Dtype::BOOL, vec![1], &[0]).expect("a view");
    let bytes = safetensors::serialize([("x", view)], None).expect("bytes");
    fs::write(&boolean, bytes).expect("written");
    match load_weights(network(1), &boolean) {
        Err(WeightsError::ElementType { name, found, .. }) => {
            assert_eq!((name.as_str(), found.as_str()), ("x", "BOOL"));
        }
        other => panic!("expected ElementType, got {:?}", other.err()),
    }

    let text = folder.path().join("text.pt");
    fs::write(&text, "weights, but not really").expect("written");
    let error = load_weights(network(1), &text);
    assert!(matches!(error, Err(WeightsError::Checkpoint { .. })));
}

#[test]
fn integers_are_converted_to_float32() {
    let mut tensors = parameters(&network(1)).expect("readable");
    let name = "model.2.0.conv.bias";
    tensors.insert(name.into(), TensorData::new(vec![3i32, -2], [2]));
    let loaded = load_parameters(network(1), &tensors).expect("loaded");
    let found = parameters(&loaded).expect("readable")[name].try_to_vec::<f32>();
    assert_eq!(found.expect("float32"), [3.0, -2.0]);
}
