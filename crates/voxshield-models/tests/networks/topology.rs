use voxshield_models::{ModelError, Topology, topology};

/// Strides and kernels as one digit per axis.
fn digits(text: &str) -> Vec<[usize; 3]> {
    let digit = |stage: &[u8], axis: usize| usize::from(stage[axis] - b'0');
    text.split_whitespace()
        .map(|stage| std::array::from_fn(|axis| digit(stage.as_bytes(), axis)))
        .collect()
}

/// Printed by nnU-Net 2.8.1's `get_pool_and_conv_props(spacing, patch, 4, 999999)`.
#[test]
fn stages_are_those_of_nnunet() {
    for (patch, spacing, strides, kernels, padded) in [
        (
            [96; 3],
            [1.0; 3],
            "111 222 222 222 222",
            "333 333 333 333 333",
            [96; 3],
        ),
        (
            [40, 56, 40],
            [1.0; 3],
            "111 222 222 222",
            "333 333 333 333",
            [40, 56, 40],
        ),
        (
            [16, 320, 320],
            [5.0, 0.5, 0.5],
            "111 122 122 122 222 222 122",
            "133 133 133 333 333 333 333",
            [16, 320, 320],
        ),
        (
            [20, 320, 256],
            [3.0, 0.625, 0.625],
            "111 122 122 222 222 122 122",
            "133 133 333 333 333 333 333",
            [20, 320, 256],
        ),
        (
            [14, 256, 224],
            [10.0, 1.5625, 1.5625],
            "111 122 122 222 122 122",
            "133 133 333 333 333 333",
            [14, 256, 224],
        ),
        (
            [28, 256, 256],
            [2.0, 1.0, 1.0],
            "111 122 222 222 122 122 122",
            "133 333 333 333 333 333 333",
            [28, 256, 256],
        ),
        (
            [28, 256, 256],
            [1.99, 1.0, 1.0],
            "111 222 222 122 122 122 122",
            "333 333 333 333 333 333 333",
            [28, 256, 256],
        ),
        (
            [48, 224, 224],
            [1.0, 0.5, 2.0],
            "111 121 221 222 222 122 112 112",
            "131 331 333 333 333 333 333 333",
            [48, 224, 224],
        ),
        (
            [13, 24, 40],
            [3.0, 1.0, 1.0],
            "111 122 222",
            "133 333 333",
            [14, 24, 40],
        ),
        ([8; 3], [1.0; 3], "111 222", "333 333", [8; 3]),
        ([4, 12, 4], [1.0; 3], "111 121", "333 333", [4, 12, 4]),
    ] {
        let expected = Topology {
            kernels: digits(kernels),
            strides: digits(strides),
            patch: padded,
        };
        assert_eq!(
            topology(patch, spacing),
            Ok(expected),
            "{patch:?} {spacing:?}"
        );
    }
}

#[test]
fn patches_without_a_network_are_refused() {
    for patch in [[7, 7, 7], [4, 11, 4], [1, 1, 1]] {
        let spacing = [1.0; 3];
        let expected = ModelError::PatchTooSmall { patch, spacing };
        assert_eq!(topology(patch, spacing), Err(expected));
    }
    for patch in [[0, 32, 32], [32, 32, usize::MAX]] {
        let found = topology(patch, [1.0; 3]);
        assert!(
            matches!(found, Err(ModelError::OutOfRange { what: "patch", .. })),
            "{found:?}"
        );
    }
    for wrong in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let found = topology([32; 3], [1.0, wrong, 1.0]);
        assert!(
            matches!(
                found,
                Err(ModelError::OutOfRange {
                    what: "spacing",
                    ..
                })
            ),
            "{wrong}: {found:?}"
        );
    }
    let extreme = topology([1 << 16; 3], [f64::MAX, f64::MIN_POSITIVE, 1.0]);
    assert!(extreme.is_ok(), "{extreme:?}");
}
