use burn::tensor::{DType, FloatDType, Tensor};
use voxshield_kernels::{KernelError, conv_transpose3d, conv3d};
use voxshield_testkit::device;

use super::{geometry, tensor};

#[test]
fn bad_arguments_are_typed_errors() {
    let x = tensor(&[0.0; 2 * 27], [1, 2, 3, 3, 3]);
    let w = tensor(&[0.0; 2 * 2 * 27], [2, 2, 3, 3, 3]);
    let plain = geometry([1; 3], [0; 3], [1; 3]);
    let thin = tensor(&[0.0; 27], [1, 1, 3, 3, 3]);
    let error = conv3d(thin.clone(), w.clone(), None, plain).unwrap_err();
    assert_eq!(
        error.to_string(),
        "conv3d: weight: expected shape [2, 1, 3, 3, 3], got [2, 2, 3, 3, 3]"
    );
    assert!(matches!(
        conv_transpose3d(thin, w.clone(), None, [0; 3], plain),
        Err(KernelError::Shape {
            argument: "weight",
            ..
        })
    ));
    assert!(matches!(
        conv3d(x.clone(), w.clone(), Some(tensor(&[0.0; 3], [3])), plain),
        Err(KernelError::Shape {
            argument: "bias",
            ..
        })
    ));
    for (g, name) in [
        (geometry([1, 0, 1], [0; 3], [1; 3]), "stride"),
        (geometry([1; 3], [0; 3], [0, 1, 1]), "dilation"),
    ] {
        assert!(matches!(
            conv3d(x.clone(), w.clone(), None, g),
            Err(KernelError::Parameter { parameter, .. }) if parameter == name
        ));
    }
    assert!(matches!(
        conv3d(
            x.clone(),
            w.clone(),
            None,
            geometry([1; 3], [0; 3], [1, 1, 2])
        ),
        Err(KernelError::TooShort {
            axis: "width",
            least: 5,
            got: 3,
            ..
        })
    ));
    assert!(matches!(
        conv_transpose3d(x.clone(), w.clone(), None, [1, 0, 0], plain),
        Err(KernelError::Parameter {
            parameter: "output_padding",
            ..
        })
    ));
    assert!(matches!(
        conv_transpose3d(x, w, None, [0; 3], geometry([1; 3], [0, 3, 0], [1; 3])),
        Err(KernelError::TooShort {
            axis: "height",
            least: 5,
            got: 3,
            ..
        })
    ));
}

#[test]
fn tensors_of_two_types_are_refused() {
    let halves = [FloatDType::BF16, FloatDType::F16].into_iter();
    for dtype in halves.filter(|&dtype| device().supports_dtype(DType::from(dtype))) {
        let x = tensor(&[0.5; 27], [1, 1, 3, 3, 3]);
        let weight = tensor(&[0.5; 27], [1, 1, 3, 3, 3]);
        let bias = tensor(&[0.5], [1]);
        let plain = geometry([1; 3], [0; 3], [1; 3]);
        let half = weight.clone().cast(dtype);
        let refused = conv3d(x.clone(), half, Some(bias.clone()), plain);
        assert!(matches!(
            refused,
            Err(KernelError::Parameter { parameter, .. }) if parameter == "weight"
        ));
        let refused = conv_transpose3d(x, weight, Some(bias.cast(dtype)), [0; 3], plain);
        let error = refused.expect_err("a bias of another type").to_string();
        let expected =
            format!("conv_transpose3d: bias: expected the type of x, F32, got {dtype:?}");
        assert_eq!(error, expected);
    }
}

/// Padding would make voxels out of none.
#[test]
fn empty_volumes_are_refused() {
    let padded = geometry([1; 3], [1, 0, 0], [1; 3]);
    for (dims, name) in [
        ([0usize, 1, 2, 4, 4], "batch"),
        ([1, 0, 2, 4, 4], "channel"),
        ([1, 1, 0, 4, 4], "depth"),
        ([1, 1, 2, 4, 0], "width"),
    ] {
        let x = Tensor::<5>::zeros(dims, &device());
        let [_, channels, ..] = dims;
        let weight = Tensor::<5>::zeros([1, channels, 1, 1, 1], &device());
        let transposed = weight.clone().swap_dims(0, 1);
        for refused in [
            conv3d(x.clone(), weight, None, padded),
            conv_transpose3d(x, transposed, None, [0; 3], padded),
        ] {
            assert!(matches!(
                refused,
                Err(KernelError::TooShort { axis, least: 1, got: 0, .. }) if axis == name
            ));
        }
    }
}
