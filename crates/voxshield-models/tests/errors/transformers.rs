use voxshield_models::{ModelError, Segmenter, SwinUnetrConfig, UnetrConfig};
use voxshield_testkit::device;

fn unetr_refused(change: impl FnOnce(&mut UnetrConfig)) -> ModelError {
    let mut config = UnetrConfig::narrow(1, 2, [16; 3]);
    change(&mut config);
    config
        .init(0, &device())
        .expect_err("an invalid configuration")
}

#[test]
fn unetr_refuses_what_it_cannot_be() {
    let zero = |what| ModelError::Zero { what };
    assert_eq!(unetr_refused(|c| c.out_channels = 0), zero("out_channels"));
    assert_eq!(unetr_refused(|c| c.input_size[1] = 0), zero("input_size"));
    assert_eq!(unetr_refused(|c| c.num_heads = 0), zero("num_heads"));
    assert_eq!(
        unetr_refused(|c| c.input_size[2] = 40),
        ModelError::NotAMultiple {
            what: "input_size",
            divisor: 16,
            why: "voxels per token",
            found: 40
        }
    );
    assert_eq!(
        unetr_refused(|c| c.num_heads = 7),
        ModelError::NotAMultiple {
            what: "hidden_size",
            divisor: 7,
            why: "num_heads",
            found: 96
        }
    );
    for change in [
        |c: &mut UnetrConfig| c.input_size = [1 << 60; 3],
        |c: &mut UnetrConfig| c.feature_size = usize::MAX,
        |c: &mut UnetrConfig| c.mlp_dim = usize::MAX,
        |c: &mut UnetrConfig| (c.hidden_size, c.num_heads) = (usize::MAX, 1),
    ] {
        let error = unetr_refused(change);
        assert!(matches!(error, ModelError::TooLarge { .. }), "{error}");
    }
}

#[test]
fn unetr_takes_one_size_only() {
    let config = UnetrConfig::narrow(2, 3, [16, 32, 16]);
    let network = config.init(0, &device()).expect("valid");
    assert_eq!(network.check_input(&[1, 2, 16, 32, 16]), Ok(()));
    for sizes in [[32, 32, 16], [16, 16, 32], [16, 64, 16], [0, 32, 16]] {
        let [d, h, w] = sizes;
        let expected = [16, 32, 16];
        assert_eq!(
            network.check_input(&[1, 2, d, h, w]),
            Err(ModelError::InputSizeFixed { expected, sizes })
        );
    }
    assert_eq!(
        network.check_input(&[0, 2, 16, 32, 16]),
        Err(ModelError::EmptyBatch)
    );
    let channels = ModelError::InputChannels {
        expected: 2,
        found: 1,
    };
    assert_eq!(network.check_input(&[1, 1, 16, 32, 16]), Err(channels));
}

fn swin_refused(change: impl FnOnce(&mut SwinUnetrConfig)) -> ModelError {
    let mut config = SwinUnetrConfig::narrow(1, 2);
    change(&mut config);
    config
        .init(0, &device())
        .expect_err("an invalid configuration")
}

#[test]
fn swin_unetr_refuses_what_it_cannot_be() {
    let zero = |what| ModelError::Zero { what };
    assert_eq!(swin_refused(|c| c.in_channels = 0), zero("in_channels"));
    assert_eq!(swin_refused(|c| c.depths[3] = 0), zero("depths"));
    assert_eq!(swin_refused(|c| c.num_heads[0] = 0), zero("num_heads"));
    assert_eq!(swin_refused(|c| c.window_size[1] = 0), zero("window_size"));
    assert_eq!(
        swin_refused(|c| c.num_heads[1] = 5),
        ModelError::NotAMultiple {
            what: "feature_size * 2^stage",
            divisor: 5,
            why: "num_heads of the stage",
            found: 24
        }
    );
    for change in [
        |c: &mut SwinUnetrConfig| c.feature_size = usize::MAX,
        |c: &mut SwinUnetrConfig| c.window_size = [usize::MAX; 3],
        |c: &mut SwinUnetrConfig| c.depths[0] = usize::MAX,
        |c: &mut SwinUnetrConfig| c.num_heads[0] = usize::MAX,
    ] {
        let error = swin_refused(change);
        assert!(matches!(error, ModelError::TooLarge { .. }), "{error}");
    }
}

#[test]
fn swin_unetr_takes_multiples_of_32() {
    let network = SwinUnetrConfig::narrow(1, 2).init(0, &device());
    let network = network.expect("valid");
    let multiple = [32; 3];
    assert_eq!(network.size_multiple(), multiple);
    assert_eq!(network.check_input(&[1, 1, 32, 64, 32]), Ok(()));
    let sizes = [32, 48, 32];
    assert_eq!(
        network.check_input(&[1, 1, 32, 48, 32]),
        Err(ModelError::InputSize { multiple, sizes })
    );
    assert_eq!(
        network.check_input(&[1, 1, 32, 32, 32]),
        Err(ModelError::InputTooSmall {
            multiple,
            sizes: multiple
        })
    );
}
