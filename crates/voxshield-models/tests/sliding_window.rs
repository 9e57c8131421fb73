//! Sliding-window inference against MONAI (`tests/golden/README.md`).

use burn::module::Module;
use burn::tensor::{Tensor, TensorData};
use serde_json::Value;
use voxshield_models::{
    Activation, Blend, ModelError, ResidualUnet, ResidualUnetConfig, Segmenter, SlidingWindow,
    load_parameters,
};
use voxshield_testkit::{Golden, assert_close, device};

fn network() -> ResidualUnet {
    let golden = Golden::open("d_unet_surrogate_c1");
    let config = ResidualUnetConfig {
        in_channels: 1,
        out_channels: 3,
        channels: vec![4, 8, 16],
        strides: vec![2, 2],
        res_units: 2,
        activation: Activation::Relu,
    };
    let network = config.init(0, &device()).expect("valid");
    load_parameters(network, &golden.tensors("w.")).expect("its weights")
}

fn sizes<const N: usize>(value: &Value) -> [usize; N] {
    let sizes: Vec<usize> = serde_json::from_value(value.clone()).expect("sizes");
    sizes.try_into().expect("as many as asked for")
}

fn gaussian() -> Blend {
    Blend::Gaussian { sigma_scale: 0.125 }
}

#[test]
fn windows_and_blended_logits_are_those_of_monai() {
    let golden = Golden::open("n_sliding_window");
    let size: [usize; 3] = sizes(&golden.metadata("roi"));
    let cases = golden.metadata("cases");
    let cases = cases.as_object().expect("cases");
    assert_eq!(cases.len(), 6);
    for (name, case) in cases {
        let window = SlidingWindow {
            overlap: case["overlap"].as_f64().expect("an overlap"),
            blend: match case["mode"].as_str() {
                Some("constant") => Blend::Constant,
                _ => gaussian(),
            },
            batch: 3,
            ..SlidingWindow::new(size)
        };
        let key = format!("{name}.input");
        let shape: [usize; 5] = golden.shape(&key).try_into().expect("five axes");
        let [batch, _, volume @ ..] = shape;
        let padded = std::array::from_fn(|axis| volume[axis].max(size[axis]));
        let windows: Vec<[usize; 3]> = case["windows"]
            .as_array()
            .expect("windows")
            .iter()
            .map(sizes)
            .collect();
        assert_eq!(window.windows(padded), windows, "{name}");

        let input = golden.values(&key);
        let output: Vec<f32> = input
            .chunks(input.len() / batch)
            .flat_map(|image| {
                let logits = window.run(&network(), image, volume, &device());
                logits.expect("logits")
            })
            .collect();
        assert_close(
            name,
            &output,
            &golden.values(&format!("{name}.output")),
            3e-5,
        );
    }
}

#[test]
fn importance_maps_are_those_of_monai() {
    let golden = Golden::open("n_sliding_window");
    let keys = golden.keys();
    let maps: Vec<&String> = keys.iter().filter(|key| key.starts_with("map.")).collect();
    assert_eq!(maps.len(), 4);
    for key in maps {
        let size = golden.shape(key).try_into().expect("three axes");
        let weights = SlidingWindow::new(size).weights();
        assert_close(key, &weights, &golden.values(key), 5e-7);
    }
}

#[test]
fn one_window_over_the_volume_is_a_plain_forward_pass() {
    let shape = [8, 12, 16];
    let image: Vec<f32> = (0..8 * 12 * 16).map(|i| (i % 37) as f32 / 37.0).collect();
    let input =
        Tensor::<5>::from_data(TensorData::new(image.clone(), [1, 1, 8, 12, 16]), &device());
    let whole: Vec<f32> = network().forward(input).into_data().iter().collect();
    for blend in [Blend::Constant, gaussian()] {
        let window = SlidingWindow {
            blend,
            ..SlidingWindow::new(shape)
        };
        let logits = window.run(&network(), &image, shape, &device());
        assert_close("one window", &logits.expect("logits"), &whole, 2e-6);
    }
}

#[test]
fn settings_and_arrays_that_do_not_fit_are_refused() {
    let network = network().valid();
    let run = |window: SlidingWindow, image: &[f32]| {
        window
            .run(&network, image, [16, 16, 16], &device())
            .expect_err("refused")
    };
    let window = SlidingWindow::new([16; 3]);
    let image = vec![0.0; 16 * 16 * 16];
    let error = run(window.clone(), &image[1..]);
    assert!(matches!(error, ModelError::ImageLength { .. }), "{error}");
    for overlap in [1.0, -0.1, f64::NAN] {
        let window = SlidingWindow {
            overlap,
            ..window.clone()
        };
        let error = run(window, &image);
        assert!(matches!(error, ModelError::OutOfRange { .. }), "{error}");
    }
    let sigma = SlidingWindow {
        blend: Blend::Gaussian { sigma_scale: 0.0 },
        ..window.clone()
    };
    assert!(matches!(run(sigma, &image), ModelError::OutOfRange { .. }));
    let batch = SlidingWindow {
        batch: 0,
        ..window.clone()
    };
    assert!(matches!(run(batch, &image), ModelError::Zero { .. }));
    let odd = SlidingWindow::new([16, 16, 10]);
    assert!(matches!(run(odd, &image), ModelError::InputSize { .. }));
    let empty = window.run(&network, &[], [0, 8, 8], &device());
    let what = "sliding window: shape";
    assert_eq!(empty, Err(ModelError::Zero { what }));
}
