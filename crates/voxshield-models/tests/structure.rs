//! Parameter counts, names, sizes and the seeded initial weights.

use burn::module::Module;
use burn::tensor::{Distribution, Tensor};
use voxshield_models::{
    ARCHITECTURES, Activation, AttentionUnetConfig, NamedParameters, NetworkSpec,
    NoiseGeneratorConfig, ResidualUnetConfig, SegResNetConfig, Segmenter, SwinUnetrConfig,
    TensorMap, UnetPlusPlusConfig, UnetrConfig, VNetConfig, parameter_count, parameters,
};
use voxshield_testkit::{Golden, device};

fn tiny(activation: Activation, res_units: usize) -> ResidualUnetConfig {
    ResidualUnetConfig {
        in_channels: 2,
        out_channels: 3,
        channels: vec![4, 6, 8],
        strides: vec![2, 2],
        res_units,
        activation,
    }
}

fn weights(config: &ResidualUnetConfig, seed: u64) -> TensorMap {
    let network = config.init(seed, &device()).expect("a valid configuration");
    parameters(&network).expect("readable weights")
}

#[test]
fn parameter_counts_are_those_of_monai() {
    for (config, expected) in [
        (ResidualUnetConfig::surrogate(1, 5), 19_222_669),
        (ResidualUnetConfig::surrogate(4, 4), 19_225_880),
        (ResidualUnetConfig::noise_generator(1), 598_045),
        (ResidualUnetConfig::noise_generator(4), 603_640),
    ] {
        assert_eq!(config.parameter_count(), expected, "{config:?}");
    }
    let network = ResidualUnetConfig::surrogate(1, 5).init(0, &device());
    assert_eq!(parameter_count(&network.expect("valid")), 19_222_669);
    let generator = NoiseGeneratorConfig::new(4, 0.01).init(0, &device());
    assert_eq!(parameter_count(&generator.expect("valid")), 603_640);
}

#[test]
fn the_count_of_a_configuration_is_that_of_its_network() {
    for activation in [Activation::Relu, Activation::Prelu] {
        for res_units in 0..4 {
            for strides in [vec![2, 2], vec![1, 2]] {
                let config = ResidualUnetConfig {
                    strides,
                    ..tiny(activation, res_units)
                };
                let network = config.init(0, &device()).expect("valid");
                let count = parameter_count(&network) as u64;
                assert_eq!(count, config.parameter_count(), "{config:?}");
            }
        }
    }
}

#[test]
fn the_counts_of_the_other_configurations_are_those_of_their_networks() {
    fn agree(network: &impl NamedParameters, expected: u64) {
        assert_eq!(parameter_count(network) as u64, expected);
    }
    let device = device();
    for activation in [Activation::Relu, Activation::Prelu] {
        let config = UnetPlusPlusConfig {
            features: [2, 3, 4, 5, 6, 7],
            activation,
            ..UnetPlusPlusConfig::narrow(2, 3)
        };
        agree(
            &config.init(0, &device).expect("valid"),
            config.parameter_count(),
        );
    }
    let config = AttentionUnetConfig {
        channels: vec![3, 5, 7, 1],
        strides: vec![2, 1, 3],
        ..AttentionUnetConfig::narrow(2, 3)
    };
    agree(
        &config.init(0, &device).expect("valid"),
        config.parameter_count(),
    );
    let config = VNetConfig {
        dropout: 0.5,
        ..VNetConfig::narrow(3, 2)
    };
    assert_eq!(config.width, 3);
    agree(
        &config.init(0, &device).expect("valid"),
        config.parameter_count(),
    );
    let config = SegResNetConfig {
        width: 6,
        groups: 3,
        blocks_down: vec![0, 2, 1],
        blocks_up: vec![2, 0],
        ..SegResNetConfig::narrow(2, 3)
    };
    agree(
        &config.init(0, &device).expect("valid"),
        config.parameter_count(),
    );
}

#[test]
fn every_narrow_network_segments() {
    // At 32^3 one voxel would be left at the bottom of Swin UNETR.
    let spec = NetworkSpec {
        patch: [32, 32, 64],
        ..NetworkSpec::new(3, 4)
    };
    for architecture in ARCHITECTURES {
        let network = architecture.init(&spec, 5, &device()).expect("a network");
        let name = architecture.name;
        assert_eq!((network.in_channels(), network.classes()), (3, 4), "{name}");
        let [d, h, w] = spec.patch;
        let shape = [2, 3, d, h, w];
        assert_eq!(network.check_input(&shape), Ok(()), "{name}");
        let x = Tensor::random(shape, Distribution::Uniform(0.0, 1.0), &device());
        let y = network.forward(x);
        assert_eq!(y.dims(), [2, 4, d, h, w], "{name}");
        assert!(y.is_finite().all().into_scalar::<bool>(), "{name}");
        let same = architecture.init(&spec, 5, &device()).expect("a network");
        assert_eq!(network.weights().ok(), same.weights().ok(), "{name}");
    }
}

#[test]
fn names_are_those_of_monai() {
    let golden = Golden::open("d_unet_surrogate_c1");
    let config = ResidualUnetConfig {
        in_channels: 1,
        channels: vec![4, 8, 16],
        ..tiny(Activation::Relu, 2)
    };
    let stored: Vec<String> = golden
        .keys()
        .iter()
        .filter_map(|key| key.strip_prefix("w.").map(String::from))
        .collect();
    let own: Vec<String> = weights(&config, 0).into_keys().collect();
    assert_eq!(own, stored);
}

#[test]
fn a_plain_unet_and_a_prelu_have_the_names_of_monai() {
    let names: Vec<String> = weights(&tiny(Activation::Prelu, 0), 0)
        .into_keys()
        .collect();
    assert_eq!(
        names,
        [
            "model.0.adn.A.weight",
            "model.0.conv.bias",
            "model.0.conv.weight",
            "model.1.submodule.0.adn.A.weight",
            "model.1.submodule.0.conv.bias",
            "model.1.submodule.0.conv.weight",
            "model.1.submodule.1.submodule.adn.A.weight",
            "model.1.submodule.1.submodule.conv.bias",
            "model.1.submodule.1.submodule.conv.weight",
            "model.1.submodule.2.adn.A.weight",
            "model.1.submodule.2.conv.bias",
            "model.1.submodule.2.conv.weight",
            "model.2.conv.bias",
            "model.2.conv.weight",
        ]
    );
    let names = weights(&tiny(Activation::Prelu, 1), 0);
    assert!(names.contains_key("model.0.conv.unit0.adn.A.weight"));
    assert!(names.contains_key("model.2.0.adn.A.weight"));
    assert!(!names.contains_key("model.2.1.conv.unit0.adn.A.weight"));
}

#[test]
fn a_nested_unet_with_a_prelu_has_the_names_of_monai() {
    let config = UnetPlusPlusConfig {
        activation: Activation::Prelu,
        ..UnetPlusPlusConfig::narrow(1, 2)
    };
    let network = config.init(0, &device()).expect("valid");
    let names = parameters(&network).expect("readable");
    for name in [
        "conv_0_0.conv_1.adn.A.weight",
        "conv_4_0.convs.conv_0.adn.A.weight",
        "upcat_1_3.convs.conv_1.adn.A.weight",
    ] {
        assert!(names.contains_key(name), "{name}");
    }
}

#[test]
fn the_output_has_the_size_of_the_input() {
    for (res_units, strides, size) in [
        (2, vec![2, 2], [4, 8, 12]),
        (0, vec![2, 2], [4, 8, 12]),
        (1, vec![1, 3], [3, 6, 9]),
    ] {
        let config = ResidualUnetConfig {
            strides,
            ..tiny(Activation::Relu, res_units)
        };
        let network = config.init(1, &device()).expect("valid");
        let [depth, height, width] = size;
        let shape = [2, 2, depth, height, width];
        network.check_input(&shape).expect("an accepted shape");
        let x = Tensor::random(shape, Distribution::Uniform(0.0, 1.0), &device());
        assert_eq!(network.forward(x).dims(), [2, 3, depth, height, width]);
    }
}

#[test]
fn equal_seeds_give_equal_weights_and_others_do_not() {
    let config = ResidualUnetConfig::narrow(1, 2);
    let reference = weights(&config, 11);
    assert_eq!(reference, weights(&config, 11));
    let other = weights(&config, 12);
    for (name, data) in &reference {
        assert_ne!(data, &other[name], "{name} does not depend on the seed");
    }
    let autodiff = config.init(11, &device().autodiff()).expect("valid");
    assert_eq!(reference, parameters(&autodiff).expect("readable"));
    let threads: Vec<TensorMap> = std::thread::scope(|scope| {
        let run = || scope.spawn(|| weights(&config, 11));
        let handles = [run(), run(), run(), run()];
        handles
            .map(|handle| handle.join().expect("a thread"))
            .into()
    });
    assert!(threads.iter().all(|found| *found == reference));
}

#[test]
fn initial_weights_fill_the_interval_of_pytorch() {
    let weights = weights(&ResidualUnetConfig::surrogate(1, 3), 3);
    for (name, fan_in) in [
        ("model.1.submodule.0.conv.unit1.conv.weight", 64 * 27),
        ("model.1.submodule.1.submodule.0.residual.weight", 64 * 27),
        // transposed, [in, out, k, k, k]: PyTorch counts the second axis
        ("model.1.submodule.2.0.conv.weight", 32 * 27),
        ("model.0.conv.unit0.conv.bias", 27),
    ] {
        let values = weights[name].try_to_vec::<f32>().expect("float32");
        let bound = 1.0 / f64::from(fan_in).sqrt();
        let (mut low, mut high, mut sum) = (f64::MAX, f64::MIN, 0.0);
        for value in values.iter().map(|&value| f64::from(value)) {
            (low, high, sum) = (low.min(value), high.max(value), sum + value);
        }
        assert!(
            low >= -bound * 1.000_001 && high <= bound * 1.000_001,
            "{name}: {low}..{high}"
        );
        assert!(
            low < -0.8 * bound && high > 0.8 * bound,
            "{name}: {low}..{high}, {bound}"
        );
        let deviation = bound / (3.0 * values.len() as f64).sqrt();
        assert!(
            (sum / values.len() as f64).abs() < 5.0 * deviation,
            "{name}: mean off"
        );
    }
}

#[test]
fn autodiff_is_left_and_entered_again() {
    let network = ResidualUnetConfig::narrow(1, 2)
        .init(5, &device().autodiff())
        .expect("valid");
    let weight =
        |network: &voxshield_models::ResidualUnet| network.bottom.units[0].conv.weight.val();
    assert!(weight(&network).is_require_grad());
    let frozen = network.valid();
    assert!(!weight(&frozen).is_autodiff());
    assert!(weight(&frozen.train()).is_require_grad());
}

/// The input's gradient of a network in training, and whether two passes agree.
fn in_training(network: &dyn Segmenter) -> (f32, bool) {
    let x = Tensor::random(
        [1, 1, 16, 16, 32],
        Distribution::Uniform(0.0, 1.0),
        &device(),
    );
    let x = x.autodiff().require_grad();
    let [y, again] = [(); 2].map(|()| network.forward(x.clone()));
    let same = (y.clone() - again).abs().max().into_scalar::<f32>() == 0.0;
    let gradient = x.grad(&y.powi_scalar(2).sum().backward());
    let gradient = gradient.expect("a gradient").abs().max();
    (gradient.into_scalar(), same)
}

#[test]
fn dropping_every_channel_cuts_input_from_output() {
    let device = device().autodiff();
    // The largest draw is 1 - 2^-24: nothing is kept.
    let all = 1.0 - 1e-9;
    for (dropout, passes, repeats) in [(0.0, true, true), (0.5, true, false), (all, false, true)] {
        let v_net = VNetConfig {
            dropout,
            ..VNetConfig::narrow(1, 2)
        };
        let v_net = v_net.init(3, &device).expect("valid");
        let seg_res_net = SegResNetConfig {
            dropout,
            ..SegResNetConfig::narrow(1, 2)
        };
        let seg_res_net = seg_res_net.init(3, &device).expect("valid");
        for network in [&v_net as &dyn Segmenter, &seg_res_net] {
            let (gradient, same) = in_training(network);
            assert_eq!((gradient > 0.0, same), (passes, repeats), "{dropout}");
        }
        for network in [&v_net.freeze() as &dyn Segmenter, &seg_res_net.freeze()] {
            let (gradient, same) = in_training(network);
            assert_eq!((gradient > 0.0, same), (true, true), "{dropout}, frozen");
        }
    }
}

#[test]
fn tables_of_positions_are_drawn_from_a_narrow_normal_distribution() {
    let unetr = UnetrConfig::narrow(1, 2, [32, 64, 48]).init(0, &device());
    let unetr = parameters(&unetr.expect("valid")).expect("readable");
    let swin = SwinUnetrConfig::narrow(1, 2).init(0, &device());
    let swin = parameters(&swin.expect("valid")).expect("readable");
    for data in [
        &unetr["vit.patch_embedding.position_embeddings"],
        &swin["swinViT.layers4.0.blocks.1.attn.relative_position_bias_table"],
    ] {
        let values: Vec<f32> = data.try_to_vec().expect("float32");
        let count = values.len() as f64;
        let moment = |power: i32| -> f64 {
            let powers = values.iter().map(|&v| (f64::from(v) / 0.02).powi(power));
            powers.sum::<f64>() / count
        };
        // Moments of the standard normal distribution, within five standard errors.
        let within = |expected: f64, variance: f64| {
            move |found: f64| (found - expected).abs() < 5.0 * (variance / count).sqrt()
        };
        assert!(within(0.0, 1.0)(moment(1)), "mean {}", moment(1));
        assert!(within(1.0, 2.0)(moment(2)), "variance {}", moment(2));
        assert!(within(3.0, 96.0)(moment(4)), "kurtosis {}", moment(4));
    }
}
