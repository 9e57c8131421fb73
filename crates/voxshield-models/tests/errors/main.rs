//! Every refusal names what is accepted.

mod contour_unet;
mod transformers;

use voxshield_models::{
    Activation, AttentionUnetConfig, ModelError, NoiseGeneratorConfig, Norm, ResidualUnetConfig,
    SegResNetConfig, Segmenter, SwinUnetrConfig, UnetPlusPlusConfig, UnetrConfig, VNetConfig,
};
use voxshield_testkit::device;

fn refused(change: impl FnOnce(&mut ResidualUnetConfig)) -> ModelError {
    let mut config = ResidualUnetConfig::narrow(1, 2);
    change(&mut config);
    let error = config.validate().expect_err("an invalid configuration");
    assert_eq!(config.init(0, &device()).err(), Some(error.clone()));
    error
}

#[test]
fn zero_counts_are_refused() {
    let zero = |what| ModelError::Zero { what };
    assert_eq!(refused(|c| c.in_channels = 0), zero("in_channels"));
    assert_eq!(refused(|c| c.out_channels = 0), zero("out_channels"));
    assert_eq!(refused(|c| c.channels[1] = 0), zero("channels"));
    assert_eq!(refused(|c| c.strides[0] = 0), zero("strides"));
}

#[test]
fn impossible_structures_are_refused() {
    let found = refused(|c| c.channels = vec![8]);
    assert_eq!(found, ModelError::TooFewLevels { found: 1 });
    assert_eq!(
        refused(|c| c.strides = vec![2]),
        ModelError::StrideCount {
            expected: 2,
            found: 1
        }
    );
    assert_eq!(
        refused(|c| c.strides = vec![usize::MAX, 2]),
        ModelError::StridesTooLarge { limit: 1 << 16 }
    );
    assert_eq!(
        refused(|c| c.activation = Activation::LeakyRelu(f64::INFINITY)),
        ModelError::OutOfRange {
            what: "activation.leaky_relu",
            expected: "a finite slope",
            found: f64::INFINITY
        }
    );
}

#[test]
fn huge_networks_are_refused_instead_of_allocated() {
    let limit = 1 << 30;
    for change in [
        |c: &mut ResidualUnetConfig| c.channels = vec![usize::MAX, usize::MAX, usize::MAX],
        |c: &mut ResidualUnetConfig| c.res_units = usize::MAX,
        |c: &mut ResidualUnetConfig| c.out_channels = 1 << 20,
    ] {
        assert!(matches!(
            refused(change),
            ModelError::TooLarge { parameters, limit: found } if found == limit && parameters > limit
        ));
    }
}

/// What a configuration that starts as `narrow` is refused with after `change`.
macro_rules! refusal {
    ($config:ident, $change:expr) => {{
        let mut config = $config::narrow(2, 3);
        let change: fn(&mut $config) = $change;
        change(&mut config);
        let error = config.validate().expect_err("an invalid configuration");
        let found = config.init(0, &device()).err();
        assert_eq!(format!("{found:?}"), format!("{:?}", Some(&error)));
        error
    }};
}

#[track_caller]
fn assert_out_of_range(error: &ModelError, field: &str) {
    assert!(
        matches!(error, ModelError::OutOfRange { what, .. } if *what == field),
        "{field}: {error:?}"
    );
}

#[test]
fn every_network_refuses_counts_of_zero() {
    let zero = |what| ModelError::Zero { what };
    for (error, what) in [
        (
            refusal!(UnetPlusPlusConfig, |c| c.in_channels = 0),
            "in_channels",
        ),
        (
            refusal!(UnetPlusPlusConfig, |c| c.out_channels = 0),
            "out_channels",
        ),
        (
            refusal!(UnetPlusPlusConfig, |c| c.features[5] = 0),
            "features",
        ),
        (
            refusal!(AttentionUnetConfig, |c| c.in_channels = 0),
            "in_channels",
        ),
        (
            refusal!(AttentionUnetConfig, |c| c.out_channels = 0),
            "out_channels",
        ),
        (
            refusal!(AttentionUnetConfig, |c| c.channels[2] = 0),
            "channels",
        ),
        (
            refusal!(AttentionUnetConfig, |c| c.strides[1] = 0),
            "strides",
        ),
        (refusal!(VNetConfig, |c| c.in_channels = 0), "in_channels"),
        (refusal!(VNetConfig, |c| c.out_channels = 0), "out_channels"),
        (refusal!(VNetConfig, |c| c.width = 0), "width"),
        (
            refusal!(SegResNetConfig, |c| c.in_channels = 0),
            "in_channels",
        ),
        (
            refusal!(SegResNetConfig, |c| c.out_channels = 0),
            "out_channels",
        ),
        (refusal!(SegResNetConfig, |c| c.width = 0), "width"),
        (refusal!(SegResNetConfig, |c| c.groups = 0), "groups"),
    ] {
        assert_eq!(error, zero(what));
    }
}

#[test]
fn every_network_refuses_structures_that_do_not_exist() {
    for (error, field) in [
        (
            refusal!(UnetPlusPlusConfig, |c| c.features[2] = 1),
            "features",
        ),
        (
            refusal!(UnetPlusPlusConfig, |c| c.features[4] = 1),
            "features",
        ),
        (
            refusal!(UnetPlusPlusConfig, |c| c.activation =
                Activation::LeakyRelu(f64::NAN)),
            "activation.leaky_relu",
        ),
        (
            refusal!(AttentionUnetConfig, |c| c.channels[1] = 1),
            "channels",
        ),
        (refusal!(VNetConfig, |c| c.width = 5), "width"),
        (refusal!(VNetConfig, |c| c.dropout = 1.0), "dropout"),
        (refusal!(VNetConfig, |c| c.dropout = f64::NAN), "dropout"),
        (refusal!(SegResNetConfig, |c| c.dropout = -0.1), "dropout"),
        (refusal!(SegResNetConfig, |c| c.width = 12), "width"),
        (
            refusal!(SegResNetConfig, |c| c.blocks_down = vec![1]),
            "blocks_down",
        ),
        (
            refusal!(SegResNetConfig, |c| c.blocks_down.clear()),
            "blocks_down",
        ),
        (
            refusal!(SegResNetConfig, |c| c.blocks_up = vec![1; 4]),
            "blocks_up",
        ),
    ] {
        assert_out_of_range(&error, field);
    }
    let error = refusal!(AttentionUnetConfig, |c| c.strides = vec![2; 3]);
    assert_eq!(
        error,
        ModelError::StrideCount {
            expected: 2,
            found: 3
        }
    );
    let error = refusal!(AttentionUnetConfig, |c| c.channels = vec![8]);
    assert_eq!(error, ModelError::TooFewLevels { found: 1 });
    let error = refusal!(AttentionUnetConfig, |c| c.strides[0] = usize::MAX);
    assert_eq!(error, ModelError::StridesTooLarge { limit: 1 << 16 });
}

#[test]
fn every_network_refuses_a_size_that_cannot_be_allocated() {
    const MAX: usize = usize::MAX;
    for error in [
        refusal!(UnetPlusPlusConfig, |c| c.in_channels = MAX),
        refusal!(UnetPlusPlusConfig, |c| c.out_channels = MAX),
        refusal!(UnetPlusPlusConfig, |c| c.features = [MAX; 6]),
        refusal!(AttentionUnetConfig, |c| c.channels = vec![MAX; 3]),
        refusal!(AttentionUnetConfig, |c| c.out_channels = MAX),
        refusal!(VNetConfig, |c| c.width = MAX - 1),
        refusal!(VNetConfig, |c| c.out_channels = MAX),
        refusal!(SegResNetConfig, |c| c.width = 1 << 63),
        refusal!(SegResNetConfig, |c| c.blocks_down[0] = MAX),
        refusal!(SegResNetConfig, |c| {
            c.blocks_down = vec![0; 1000];
            c.blocks_up = vec![0; 999];
        }),
    ] {
        assert!(matches!(error, ModelError::TooLarge { .. }), "{error:?}");
    }
}

#[test]
fn the_smallest_input_depends_on_the_normalisation() {
    let group = SegResNetConfig::narrow(1, 2).init(0, &device());
    let group = group.expect("valid");
    assert_eq!(group.check_input(&[1, 1, 8, 8, 8]), Ok(()));
    let y = group.forward(burn::tensor::Tensor::ones([1, 1, 8, 8, 8], &device()));
    assert!(y.is_finite().all().into_scalar::<bool>());
    let (multiple, sizes) = ([8; 3], [8, 12, 8]);
    let expected = ModelError::InputSize { multiple, sizes };
    assert_eq!(group.check_input(&[1, 1, 8, 12, 8]), Err(expected));
    let expected = ModelError::InputChannels {
        expected: 1,
        found: 2,
    };
    assert_eq!(group.check_input(&[1, 2, 8, 8, 8]), Err(expected));

    let batch = VNetConfig::narrow(1, 2).init(0, &device());
    let (multiple, sizes) = ([16; 3], [16; 3]);
    let expected = ModelError::InputTooSmall { multiple, sizes };
    let found = batch.expect("valid").check_input(&[1, 1, 16, 16, 16]);
    assert_eq!(found, Err(expected));
}

#[test]
fn noise_generators_need_a_bound_and_equal_channels() {
    for epsilon in [0.0, -0.1, 1.5, f64::NAN, f64::INFINITY] {
        let error = NoiseGeneratorConfig::new(1, epsilon).validate();
        assert!(
            matches!(
                error,
                Err(ModelError::OutOfRange {
                    what: "epsilon",
                    ..
                })
            ),
            "{epsilon}: {error:?}"
        );
    }
    let config = NoiseGeneratorConfig {
        unet: ResidualUnetConfig::narrow(1, 2),
        epsilon: 0.1,
        band_limit: None,
    };
    assert_eq!(
        config.init(0, &device()).err(),
        Some(ModelError::ChannelsDiffer {
            in_channels: 1,
            out_channels: 2
        })
    );
    let generator = NoiseGeneratorConfig::new(1, 0.1).init(0, &device());
    let found = generator.expect("valid").check_input(&[1, 1, 8, 8, 12]);
    assert!(
        matches!(found, Err(ModelError::InputSize { .. })),
        "{found:?}"
    );
}

#[test]
fn inputs_that_do_not_fit_are_refused() {
    let network = ResidualUnetConfig::narrow(2, 3)
        .init(0, &device())
        .expect("valid");
    let multiple = [4; 3];
    assert_eq!(network.size_multiple(), multiple);
    assert_eq!((network.in_channels(), network.classes()), (2, 3));
    assert_eq!(network.check_input(&[1, 2, 4, 4, 8]), Ok(()));
    for (shape, expected) in [
        (
            [1, 1, 8, 8, 8],
            ModelError::InputChannels {
                expected: 2,
                found: 1,
            },
        ),
        ([0, 2, 8, 8, 8], ModelError::EmptyBatch),
        (
            [1, 2, 8, 6, 8],
            ModelError::InputSize {
                multiple,
                sizes: [8, 6, 8],
            },
        ),
        (
            [1, 2, 0, 8, 8],
            ModelError::InputSize {
                multiple,
                sizes: [0, 8, 8],
            },
        ),
        (
            [1, 2, 4, 4, 4],
            ModelError::InputTooSmall {
                multiple,
                sizes: multiple,
            },
        ),
    ] {
        assert_eq!(network.check_input(&shape), Err(expected), "{shape:?}");
    }
}

#[test]
fn messages_say_what_to_do() {
    let error = ModelError::NotAMultiple {
        what: "hidden_size",
        divisor: 12,
        why: "num_heads",
        found: 100,
    };
    assert_eq!(
        error.to_string(),
        "hidden_size: expected a multiple of 12 (num_heads), got 100"
    );
    let error = ModelError::InputSize {
        multiple: [16; 3],
        sizes: [30, 32, 32],
    };
    assert_eq!(
        error.to_string(),
        "input: expected sizes that are positive multiples of [16, 16, 16] (depth, height, \
         width), got [30, 32, 32]; pad or crop the volume"
    );
}

#[test]
fn configurations_are_read_and_written_and_typing_errors_noticed() {
    for config in [
        ResidualUnetConfig::surrogate(1, 5),
        ResidualUnetConfig::noise_generator(4),
        ResidualUnetConfig {
            activation: Activation::Prelu,
            ..ResidualUnetConfig::narrow(1, 2)
        },
    ] {
        let text = serde_json::to_string(&config).expect("serialisable");
        let read: ResidualUnetConfig = serde_json::from_str(&text).expect("readable");
        assert_eq!(read, config);
    }
    let config = UnetPlusPlusConfig::narrow(1, 2);
    let text = serde_json::to_string(&config).expect("serialisable");
    assert_eq!(
        serde_json::from_str::<UnetPlusPlusConfig>(&text).ok(),
        Some(config)
    );
    let misspelt = text.replace("deep_supervision", "deep_supervison");
    assert!(serde_json::from_str::<UnetPlusPlusConfig>(&misspelt).is_err());
    let unetr = UnetrConfig {
        norm: Norm::Batch,
        ..UnetrConfig::standard(4, 3, [96, 64, 128])
    };
    let text = serde_json::to_string(&unetr).expect("serialisable");
    assert_eq!(serde_json::from_str::<UnetrConfig>(&text).ok(), Some(unetr));
    let misspelt = text.replace("feature_size", "features");
    assert!(serde_json::from_str::<UnetrConfig>(&misspelt).is_err());
    let swin = SwinUnetrConfig::standard(4, 3);
    let text = serde_json::to_string(&swin).expect("serialisable");
    assert_eq!(serde_json::from_str(&text).ok(), Some(swin));
    let misspelt = text.replacen('{', r#"{"patch_size":2,"#, 1);
    assert!(serde_json::from_str::<SwinUnetrConfig>(&misspelt).is_err());
    let misspelt = r#"{"unet":{},"epsilon":0.1,"epsylon":0.1}"#;
    assert!(serde_json::from_str::<NoiseGeneratorConfig>(misspelt).is_err());
}
