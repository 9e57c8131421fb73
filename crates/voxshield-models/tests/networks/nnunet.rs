use voxshield_models::{
    ModelError, NetworkSpec, NnUnetConfig, NnUnetEncoder, Segmenter, parameters, topology,
};
use voxshield_testkit::device;

use crate::runs;

fn narrow(encoder: NnUnetEncoder) -> NnUnetConfig {
    let planned = topology([16, 16, 16], [1.0; 3]).expect("a network");
    NnUnetConfig::narrow(encoder, 1, 2, &planned)
}

#[test]
fn the_narrow_networks_run() {
    for name in ["nnunet-plain", "nnunet-res-enc"] {
        let spec = NetworkSpec {
            patch: [8, 24, 16],
            spacing: [3.0, 1.0, 1.0],
            ..NetworkSpec::new(2, 3)
        };
        runs(name, &spec);
    }
}

/// `kaiming_normal_` with slope 0.01; a transposed convolution counts its outputs.
#[test]
fn initial_weights_are_those_of_he() {
    let config = NnUnetConfig {
        features: vec![16, 32],
        ..narrow(NnUnetEncoder::Residual)
    };
    let config = NnUnetConfig {
        kernels: vec![[3; 3]; 2],
        strides: vec![[1; 3], [2; 3]],
        blocks: vec![1, 1],
        decoder_convs: vec![1],
        ..config
    };
    let network = config.init(5, &device()).expect("valid");
    let weights = parameters(&network).expect("readable");
    let values = |name: &str| weights[name].try_to_vec::<f32>().expect("float32");
    for (name, fan_in) in [
        ("encoder.stages.1.blocks.0.conv2.conv.weight", 32 * 27),
        ("decoder.stages.0.convs.0.conv.weight", 32 * 27),
        ("decoder.transpconvs.0.weight", 16 * 8),
    ] {
        let values = values(name);
        let count = values.len() as f64;
        let mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / count;
        let squares = values.iter().map(|&v| f64::from(v).powi(2));
        let deviation = (squares.sum::<f64>() / count).sqrt();
        let expected = (2.0 / (1.0001 * f64::from(fan_in))).sqrt();
        // Five standard errors of a normal sample's deviation and mean.
        let error = 5.0 * expected / count.sqrt();
        assert!(
            (deviation - expected).abs() < error,
            "{name}: {deviation}, {expected}"
        );
        assert!(mean.abs() < error, "{name}: mean {mean}");
        let beyond = values
            .iter()
            .filter(|v| f64::from(v.abs()) > 2.0 * expected);
        let share = beyond.count() as f64 / count;
        assert!(
            (0.035..0.056).contains(&share),
            "{name}: {share} beyond two deviations"
        );
    }
    let all = |name: &str, value: f32| values(name).iter().all(|&v| v == value);
    assert!(all("encoder.stages.1.blocks.0.conv2.norm.weight", 0.0));
    assert!(all("encoder.stages.1.blocks.0.conv1.norm.weight", 1.0));
    assert!(all("encoder.stages.1.blocks.0.conv1.conv.bias", 0.0));
    assert!(all("decoder.seg_layers.0.bias", 0.0));
}

fn refused(change: impl FnOnce(&mut NnUnetConfig)) -> ModelError {
    let mut config = narrow(NnUnetEncoder::Residual);
    change(&mut config);
    let error = config.validate().expect_err("an invalid configuration");
    assert_eq!(config.init(0, &device()).err(), Some(error.clone()));
    error
}

#[test]
fn impossible_structures_are_refused() {
    let zero = |what| ModelError::Zero { what };
    assert_eq!(refused(|c| c.in_channels = 0), zero("in_channels"));
    assert_eq!(refused(|c| c.classes = 0), zero("classes"));
    assert_eq!(refused(|c| c.features[1] = 0), zero("features"));
    assert_eq!(refused(|c| c.strides[1][2] = 0), zero("strides"));
    let count = |what, expected, found| ModelError::Count {
        what,
        expected,
        found,
    };
    assert_eq!(refused(|c| c.kernels.truncate(1)), count("kernels", 3, 1));
    assert_eq!(refused(|c| c.strides.push([1; 3])), count("strides", 3, 4));
    assert_eq!(refused(|c| c.blocks.clear()), count("blocks", 3, 0));
    let convs = refused(|c| c.decoder_convs.push(1));
    assert_eq!(convs, count("decoder_convs", 2, 3));
    for (field, error) in [
        ("features", refused(|c| c.features.clear())),
        ("features", refused(|c| c.features = vec![1; 17])),
        ("strides", refused(|c| c.strides[0] = [1, 2, 1])),
        ("kernels", refused(|c| c.kernels[0] = [3, 2, 3])),
        ("kernels", refused(|c| c.kernels[0][0] = usize::MAX)),
        ("blocks", refused(|c| c.blocks[2] = usize::MAX)),
        ("decoder_convs", refused(|c| c.decoder_convs[0] = 0)),
    ] {
        assert!(
            matches!(error, ModelError::OutOfRange { what, .. } if what == field),
            "{field}: {error:?}"
        );
    }
    let strides = refused(|c| c.strides[1] = [usize::MAX; 3]);
    assert_eq!(strides, ModelError::StridesTooLarge { limit: 1 << 16 });
    for error in [
        refused(|c| c.features = vec![usize::MAX; 3]),
        refused(|c| c.classes = usize::MAX),
        refused(|c| c.in_channels = 1 << 40),
    ] {
        assert!(matches!(error, ModelError::TooLarge { .. }), "{error:?}");
    }
}

#[test]
fn inputs_that_do_not_fit_are_refused() {
    let network = narrow(NnUnetEncoder::Plain)
        .init(0, &device())
        .expect("valid");
    assert_eq!(network.size_multiple(), [4; 3]);
    assert_eq!(network.check_input(&[1, 1, 4, 8, 4]), Ok(()));
    for shape in [
        [1, 2, 8, 8, 8],
        [0, 1, 8, 8, 8],
        [1, 1, 8, 6, 8],
        [1, 1, 4, 4, 4],
    ] {
        assert!(network.check_input(&shape).is_err(), "{shape:?}");
    }
}

#[test]
fn configurations_are_read_and_written_and_typing_errors_noticed() {
    for encoder in [NnUnetEncoder::Plain, NnUnetEncoder::Residual] {
        let config = narrow(encoder);
        let text = serde_json::to_string(&config).expect("serialisable");
        let read: NnUnetConfig = serde_json::from_str(&text).expect("readable");
        assert_eq!(read, config);
        let misspelt = text.replace("blocks", "block");
        assert!(serde_json::from_str::<NnUnetConfig>(&misspelt).is_err());
    }
}
