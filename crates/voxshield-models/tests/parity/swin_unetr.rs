use burn::tensor::TensorData;
use voxshield_models::{Network, SwinUnetrConfig};
use voxshield_testkit::device;

use crate::harness::{Case, Tolerance, agrees_in_size};

fn config() -> SwinUnetrConfig {
    SwinUnetrConfig {
        feature_size: 12,
        ..SwinUnetrConfig::standard(1, 3)
    }
}

/// Padded and shifted windows, windows cut to short axes, and a single window: see
/// `tests/golden/make/swin_unetr.py`.
#[test]
fn four_stages() {
    let network = config().init(0, &device().autodiff()).expect("valid");
    assert_eq!(network.parameter_count() as u64, config().parameter_count());
    let case = Case::new("n_swin_unetr", Box::new(network)).with_kinks();
    case.agrees(&Tolerance {
        output: 8e-5,
        grad_input: 5e-3,
        gradients: 5e-3,
    });
}

#[test]
fn tables_of_relative_positions_in_checkpoints_are_not_needed() {
    let network: Box<dyn Network> = Box::new(
        SwinUnetrConfig::narrow(1, 2)
            .init(0, &device())
            .expect("valid"),
    );
    let mut weights = network.weights().expect("readable");
    let table = TensorData::new(vec![0.0f32; 4], [2, 2]);
    let name = "swinViT.layers1.0.blocks.0.attn.relative_position_index";
    weights.insert(name.to_string(), table);
    network.with_weights(&weights).expect("its weights");
}

#[test]
fn the_published_size() {
    let config = SwinUnetrConfig::standard(1, 3);
    agrees_in_size("swin_unetr", &config.init(0, &device()).expect("valid"));
}
