use voxshield_models::{ContourUnetConfig, ModelError};
use voxshield_testkit::device;

use super::assert_out_of_range;

#[test]
fn contour_generators_have_the_limits_of_networks() {
    let refused = |image_channels, channels: &[usize]| {
        let config = ContourUnetConfig {
            image_channels,
            channels: channels.to_vec(),
        };
        let error = config.validate().expect_err("an invalid configuration");
        assert_eq!(config.init(0, &device()).err(), Some(error.clone()));
        error
    };
    let zero = |what| ModelError::Zero { what };
    assert_eq!(refused(0, &[4, 6]), zero("image_channels"));
    assert_eq!(refused(1, &[4, 0]), zero("channels"));
    assert_eq!(refused(1, &[4]), ModelError::TooFewLevels { found: 1 });
    assert_out_of_range(&refused(1, &[1; 17]), "channels");
    // A shift by as many levels would overflow.
    assert_out_of_range(&refused(1, &[1; 70]), "channels");
    for error in [
        refused(1, &[1 << 20, 1 << 20]),
        refused(1, &[usize::MAX; 16]),
        refused(usize::MAX, &[1, 1]),
    ] {
        assert!(matches!(error, ModelError::TooLarge { .. }), "{error:?}");
    }
}
