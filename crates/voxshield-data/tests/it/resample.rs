//! Resampling, against `scipy.ndimage.zoom` in `tests/golden/i_zoom.safetensors`.

use std::collections::BTreeMap;

use ndarray::{Array3, Array4, ArrayView4, Axis, Ix1, Ix3, Ix4};
use voxshield_data::{
    Boundary, DataError, remap_labels, resample_image, resample_labels, shape_at_spacing,
};

use crate::support::Fixture;

const TOLERANCE: f32 = 2e-6;
const SIZES: [[usize; 3]; 4] = [[14, 8, 7], [5, 6, 4], [12, 22, 13], [9, 11, 1]];

fn name(what: &str, [d, h, w]: [usize; 3]) -> String {
    format!("{what}_{d}x{h}x{w}")
}

fn assert_close(what: &str, found: ArrayView4<'_, f32>, expected: ArrayView4<'_, f32>) {
    assert_eq!(found.shape(), expected.shape(), "{what}");
    for ((index, found), expected) in found.indexed_iter().zip(expected) {
        assert!(
            (found - expected).abs() <= TOLERANCE,
            "{what}: {found} {expected} at {index:?}"
        );
    }
}

#[test]
fn images_and_labels_are_scipys() {
    let fixture = Fixture::open("i_zoom.safetensors");
    let image = fixture.f32::<Ix4>("image");
    let labels = fixture.u8::<Ix3>("label").mapv(u16::from);
    for boundary in [Boundary::Clamp, Boundary::Scipy] {
        for size in SIZES {
            let what = name("image_order3", size);
            let found = resample_image(image.view(), size, boundary).unwrap();
            assert_close(&what, found.view(), fixture.f32::<Ix4>(&what).view());
            let what = name("label_order0", size);
            let found = resample_labels(labels.view(), size, boundary).unwrap();
            assert_eq!(found, fixture.u8::<Ix3>(&what).mapv(u16::from), "{what}");
        }
    }
}

#[test]
fn a_step_overshoots_as_scipys_does() {
    let fixture = Fixture::open("i_zoom.safetensors");
    let step = fixture.f32::<Ix3>("step_image").insert_axis(Axis(0));
    let found = resample_image(step.view(), [13; 3], Boundary::Clamp).unwrap();
    let expected = fixture.f32::<Ix3>("step_order3_13").insert_axis(Axis(0));
    assert_close("step", found.view(), expected.view());
    let [lo, hi]: [f32; 2] = serde_json::from_str(&fixture.metadata("step_min_max")).unwrap();
    let least = found.iter().copied().fold(f32::INFINITY, f32::min);
    let most = found.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    assert!((least - lo).abs() <= TOLERANCE && (most - hi).abs() <= TOLERANCE);
    assert!(lo < 0.0 && hi > 1.0);
}

/// From 8 to 26 along the axis, everything else of size 1.
#[test]
fn the_last_plane_is_lost_only_where_scipys_defect_is_asked_for() {
    let fixture = Fixture::open("i_zoom.safetensors");
    let input = fixture.f32::<Ix1>("lastplane_input");
    let scipy = fixture.f32::<Ix1>("lastplane_scipy");
    let nearest = fixture.f32::<Ix1>("lastplane_scipy_order0");
    let [from, to]: [usize; 2] =
        serde_json::from_str(&fixture.metadata("lastplane_example")).unwrap();
    assert_eq!((input.len(), scipy.len(), nearest.len()), (from, to, to));
    assert_eq!((scipy[to - 1], nearest[to - 1]), (0.0, 0.0));
    for axis in 0..3 {
        let mut shape = [1; 3];
        shape[axis] = from;
        let image = Array3::from_shape_vec(shape, input.to_vec()).unwrap();
        let labels = image.mapv(|v| v as u16);
        shape[axis] = to;
        for (boundary, last) in [(Boundary::Scipy, 0.0), (Boundary::Clamp, input[from - 1])] {
            let image = image.view().insert_axis(Axis(0));
            let found = resample_image(image, shape, boundary).unwrap();
            let mut expected = scipy.clone();
            expected[to - 1] = last;
            let expected = expected
                .to_shape((1, shape[0], shape[1], shape[2]))
                .unwrap();
            assert_close("last plane", found.view(), expected.view());
            let found = resample_labels(labels.view(), shape, boundary).unwrap();
            let mut expected = nearest.mapv(|v| v as u16);
            expected[to - 1] = last as u16;
            assert!(found.iter().eq(&expected), "{found:?}");
        }
    }
    assert_eq!(Boundary::default(), Boundary::Clamp);
}

#[test]
fn a_spacing_gives_scipys_size_and_volume() {
    let fixture = Fixture::open("i_zoom.safetensors");
    let image = fixture.f32::<Ix4>("image");
    let shape = shape_at_spacing([9, 11, 7], [1.5, 0.9, 3.0], [1.0, 1.3, 2.0]).unwrap();
    // 13.5 and 10.5 go to even.
    assert_eq!(shape, [14, 8, 10]);
    let found = resample_image(image.view(), shape, Boundary::Clamp).unwrap();
    let expected = fixture.f32::<Ix4>("resample_spacing_image");
    assert_close("spacing", found.view(), expected.view());
}

#[test]
fn the_same_grid_is_the_same_volume_and_a_single_plane_is_repeated() {
    let fixture = Fixture::open("i_zoom.safetensors");
    let image = fixture.f32::<Ix4>("image");
    let same = resample_image(image.view(), [9, 11, 7], Boundary::Clamp).unwrap();
    assert_eq!(same, image);
    let plane = image.slice(ndarray::s![.., 3..4, .., ..]);
    let thick = resample_image(plane, [5, 11, 7], Boundary::Clamp).unwrap();
    for slice in thick.axis_iter(Axis(1)) {
        let slice = slice.insert_axis(Axis(1));
        assert_close("repeated", slice, plane);
    }
}

#[test]
fn unknown_labels_become_background_and_are_counted() {
    let fixture = Fixture::open("i_zoom.safetensors");
    let labels = fixture.u8::<Ix3>("remap_in").mapv(u16::from);
    let table = BTreeMap::from([(1, 1), (2, 2), (4, 3)]);
    let remapped = remap_labels(labels.view(), &table);
    assert_eq!(
        remapped.labels,
        fixture.u8::<Ix3>("remap_out").mapv(u16::from)
    );
    assert_eq!(remapped.unknown, BTreeMap::from([(3, 1), (7, 1)]));
    let table = BTreeMap::from([(0, 9), (1, 1), (2, 2), (3, 3), (4, 4), (7, 7)]);
    let remapped = remap_labels(labels.view(), &table);
    assert_eq!((remapped.labels[[0, 0, 0]], remapped.unknown.len()), (9, 0));
}

#[test]
fn grids_and_voxels_that_cannot_be_are_typed_errors() {
    let image = Array4::<f32>::ones((1, 2, 3, 4));
    let labels = Array3::<u16>::ones((2, 3, 4));
    for shape in [[0, 3, 4], [usize::MAX, 2, 2], [1 << 12, 1 << 12, 1 << 12]] {
        let errors = [
            resample_image(image.view(), shape, Boundary::Clamp).unwrap_err(),
            resample_labels(labels.view(), shape, Boundary::Clamp).unwrap_err(),
        ];
        for error in errors {
            assert!(
                matches!(
                    error,
                    DataError::Resample {
                        what: "the new shape",
                        ..
                    }
                ),
                "{error}"
            );
        }
    }
    let empty = Array4::<f32>::ones((1, 2, 0, 4));
    assert!(resample_image(empty.view(), [2, 2, 2], Boundary::Clamp).is_err());
    let mut bad = image.clone();
    bad[[0, 1, 2, 3]] = f32::NAN;
    let error = resample_image(bad.view(), [2, 2, 2], Boundary::Clamp).unwrap_err();
    assert!(error.to_string().contains("NaN at (0, 1, 2, 3)"), "{error}");
    let good = [1.0; 3];
    for (from, to) in [
        ([0.0, 1.0, 1.0], good),
        (good, [1.0, -1.0, 1.0]),
        (good, [1.0, 1.0, f64::NAN]),
        // No voxel is left, and too many.
        ([0.2, 1.0, 1.0], good),
        (good, [1e-300, 1.0, 1.0]),
    ] {
        let error = shape_at_spacing([2, 2, 2], from, to).unwrap_err();
        assert!(matches!(error, DataError::Resample { .. }), "{error}");
    }
}
