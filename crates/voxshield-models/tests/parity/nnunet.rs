use std::collections::BTreeMap;

use burn::module::Module;
use burn::tensor::{Int, Tensor, TensorData};
use voxshield_kernels::DiceCe;
use voxshield_models::{
    NamedParameters, NnUnet, NnUnetConfig, NnUnetEncoder, Segmenter, describe, load_parameters,
    topology,
};
use voxshield_testkit::{Golden, assert_close, device};

use crate::harness::{Case, Tolerance, agrees_in_size, values};
use crate::hashed;

const PLAIN: &str = "n_plain_conv_unet";
const RESIDUAL: &str = "n_residual_encoder_unet";

/// Ten times the fixtures' `deviation`.
const TOLERANCE: Tolerance = Tolerance {
    output: 6e-5,
    grad_input: 1e-5,
    gradients: 2e-4,
};

/// The fixtures' plan: anisotropic at first.
fn network(name: &str) -> NnUnet {
    let (encoder, blocks, convs) = match name {
        PLAIN => (NnUnetEncoder::Plain, [2; 4], 2),
        _ => (NnUnetEncoder::Residual, [1, 3, 4, 6], 1),
    };
    let config = NnUnetConfig {
        encoder,
        in_channels: 2,
        classes: 3,
        features: vec![8, 16, 32, 32],
        kernels: vec![[1, 3, 3], [3; 3], [3; 3], [3; 3]],
        strides: vec![[1; 3], [1, 2, 2], [2; 3], [2; 3]],
        blocks: blocks.to_vec(),
        decoder_convs: vec![convs; 3],
    };
    config.init(0, &device().autodiff()).expect("valid")
}

#[test]
fn plain() {
    Case::new(PLAIN, Box::new(network(PLAIN))).agrees(&TOLERANCE);
}

#[test]
fn residual_encoder() {
    Case::new(RESIDUAL, Box::new(network(RESIDUAL))).agrees(&TOLERANCE);
}

#[test]
fn every_head() {
    for name in [PLAIN, RESIDUAL] {
        let case = Case::new(name, Box::new(network(name)));
        let network = network(name).valid();
        let network = load_parameters(network.clone(), &hashed::weights(&network)).expect("fits");
        let heads = network.heads(case.input.clone().inner());
        assert_eq!(heads.len(), 3);
        for (key, head) in ["output", "output1", "output2"].into_iter().zip(heads) {
            case.compare(key, head, TOLERANCE.output);
        }
    }
}

#[test]
fn the_standard_sizes() {
    let planned = topology([96; 3], [1.0; 3]).expect("a network");
    for (key, encoder) in [
        ("plain_conv_unet", NnUnetEncoder::Plain),
        ("residual_encoder_unet", NnUnetEncoder::Residual),
    ] {
        let network = NnUnetConfig::standard(encoder, 1, 3, &planned).init(0, &device());
        agrees_in_size(key, &network.expect("valid"));
    }
}

/// From the stored heads, by hand: weights 2/3, 1/3, 0; of every second voxel along height and width
/// (stride 1, 2, 2), nnU-Net takes the one behind the middle, the odd one.
#[test]
fn deep_supervision_is_the_weighted_sum_over_the_heads() {
    let case = Case::new(PLAIN, Box::new(network(PLAIN)));
    let labels = case.labels.clone().inner();
    let found = labels.clone().into_data().convert::<i64>();
    let found = found.try_to_vec::<i64>().expect("integers");
    let [_, depth, height, width] = labels.dims();
    let mut half = Vec::new();
    for z in 0..depth {
        for x in (1..height).step_by(2) {
            for y in (1..width).step_by(2) {
                half.push(found[(z * height + x) * width + y]);
            }
        }
    }
    let shape = [1, depth, height / 2, width / 2];
    let half = Tensor::<4, Int>::from_data(TensorData::new(half, shape), &device());
    let stored = |key: &str| case.golden.tensor::<5>(key, &device());
    let term = |key, labels| {
        DiceCe::default()
            .forward(stored(key), labels)
            .expect("fits")
    };
    let expected = term("output", labels) * (2.0 / 3.0) + term("output1", half) * (1.0 / 3.0);

    let (network, input) = (&case.network, case.input.clone());
    let loss = network.training_loss(input, case.labels.clone(), &DiceCe::default());
    let loss = loss.expect("labels that fit");
    let (actual, expected) = (values(loss.clone().inner()), values(expected));
    assert_close("training_loss", &actual, &expected, 2e-6);

    let gradients = network.gradients(&loss.backward()).expect("readable");
    let has = |head: usize| gradients.contains_key(&format!("decoder.seg_layers.{head}.weight"));
    assert_eq!([has(0), has(1), has(2)], [false, true, true]);
}

#[test]
fn labels_of_another_size_are_refused() {
    let network = network(PLAIN).valid();
    let x = Tensor::zeros([1, 2, 4, 8, 8], &device());
    let labels = Tensor::zeros([1, 4, 8, 16], &device());
    let found = network.training_loss(x, labels, &DiceCe::default());
    assert!(found.is_err(), "{found:?}");
}

#[test]
fn every_alias_of_a_checkpoint_is_known() {
    for name in [PLAIN, RESIDUAL] {
        let network = network(name);
        let own: Vec<String> = describe(&network).into_iter().map(|p| p.name).collect();
        let aliases = Golden::open(name).metadata("aliases");
        let aliases: BTreeMap<String, String> = serde_json::from_value(aliases).expect("names");
        assert!(
            aliases.len() > own.len(),
            "{name}: {} aliases",
            aliases.len()
        );
        for (alias, first) in aliases {
            assert!(own.contains(&first), "{name}: {first}");
            assert_eq!(network.checkpoint_name(&alias), Some(first), "{alias}");
        }
        for name in own {
            assert_eq!(network.checkpoint_name(&name), Some(name));
        }
    }
}
