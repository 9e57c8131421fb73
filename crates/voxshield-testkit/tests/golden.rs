//! The golden files are read as their generator wrote them.

use voxshield_testkit::{Golden, device};

#[test]
fn tensors_labels_and_shapes_are_read() {
    let golden = Golden::open("c_dicece");
    assert_eq!(golden.shape("c3_plain.logits"), [2, 3, 6, 5, 4]);
    let logits = golden.tensor::<5>("c3_plain.logits", &device());
    assert_eq!(logits.dims(), [2, 3, 6, 5, 4]);
    let read_back = logits.into_data().try_to_vec::<f32>().expect("float32");
    assert_eq!(read_back, golden.values("c3_plain.logits"));

    let labels = golden.ints("c3_plain.label");
    assert_eq!(labels.len(), 2 * 6 * 5 * 4);
    assert_eq!(labels.iter().max(), Some(&2), "three classes: 0, 1 and 2");
    let tensor = golden.int_tensor::<4>("c3_plain.label", &device());
    assert_eq!(tensor.dims(), [2, 6, 5, 4]);
}

#[test]
fn keys_are_sorted_and_found() {
    let golden = Golden::open("b_logits_l1");
    assert_eq!(golden.keys(), ["clean", "grad_noisy", "noisy", "value"]);
    assert!(golden.has("clean") && !golden.has("absent"));
}

#[test]
fn metadata_is_parsed() {
    let golden = Golden::open("d_noise_unet_c1");
    let epsilon = golden.metadata("epsilon").as_f64().expect("a number");
    assert!((epsilon - 4.0 / 255.0).abs() < 1e-7, "{epsilon}");
    let dead = golden.metadata("zero_grad_params");
    assert_eq!(dead.as_array().map(Vec::len), Some(6));
}

#[test]
fn json_files_are_read() {
    let ssim = Golden::json("h_iqa")["ssim"].as_f64().expect("a number");
    assert!((ssim - 0.992_607_41).abs() < 1e-6, "{ssim}");
}

#[test]
#[should_panic(expected = "c3_plain.logits: expected rank 4, got [2, 3, 6, 5, 4]")]
fn a_wrong_rank_is_refused() {
    Golden::open("c_dicece").tensor::<4>("c3_plain.logits", &device());
}

#[test]
#[should_panic(expected = "no_such_tensor")]
fn an_absent_tensor_is_named() {
    Golden::open("c_dicece").values("no_such_tensor");
}
