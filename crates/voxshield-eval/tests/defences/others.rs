//! Against scipy, scikit-image and Pillow (`p_defences`).

use voxshield_eval::defences::{LabelledVolume, find};
use voxshield_testkit::{Golden, assert_close, max_difference};

/// Applies a defence to the image of `g_defense`.
#[track_caller]
fn check(spec: &str, key: &str, tolerance: f64) {
    let image = Golden::open("g_defense").values("image");
    let label: Vec<u16> = (0..9 * 12 * 10).map(|i| i % 3).collect();
    let mut volume = LabelledVolume::new(image.clone(), label.clone(), [2, 9, 12, 10]).unwrap();
    find(spec).unwrap().apply(&mut volume, 0);
    let expected = Golden::open("p_defences").values(key);
    let (change, _) = max_difference(&expected, &image);
    assert!(
        change > 100.0 * tolerance,
        "{key} hardly differs from the image"
    );
    assert_close(spec, volume.image(), &expected, tolerance);
    assert_eq!(volume.label(), label);
}

#[test]
fn medians_equal_scipy() {
    check("median", "median_3", 0.0);
    check("median-z:3", "median_z_3", 0.0);
    check("median-z:5", "median_z_5", 0.0);
}

#[test]
fn slab_means_equal_scipy() {
    check("slab-mean:2", "slab_mean_2", 2e-7);
    check("slab-mean:3", "slab_mean_3", 2e-7);
}

#[test]
fn skipped_slices_equal_numpy() {
    check("skip-slices:2", "skip_slices_2", 2e-7);
    check("skip-slices:3", "skip_slices_3", 2e-7);
}

#[test]
fn the_matched_histogram_equals_scipys_ranks() {
    check("histogram-match", "histogram", 1e-7);
}

#[test]
fn total_variation_equals_scikit_image() {
    check("total-variation:0.05", "tv_0.05", 2e-6);
    check("total-variation:0.1", "tv_0.1", 2e-6);
}

/// Two encoders round the same coefficients differently here and there, and the block is then off by a
/// quantisation step: Pillow's slices are up to 0.2 grey levels, on average, from JPEG in exact
/// arithmetic. A wrong table, a lost level shift or slices in disorder are off by about as much as
/// JPEG itself loses, 1.4 to 6 levels.
#[test]
fn jpeg_equals_pillow_but_for_rounding() {
    let golden = Golden::open("p_defences");
    let input = golden.values("jpeg_input");
    let voxels = input.len();
    for quality in [10, 50, 90] {
        let mut volume =
            LabelledVolume::new(input.clone(), vec![0; voxels], [1, 3, 45, 37]).unwrap();
        find(&format!("jpeg:{quality}"))
            .unwrap()
            .apply(&mut volume, 0);
        let expected = golden.values(&format!("jpeg_{quality}"));
        let mean = |a: &[f32], b: &[f32]| {
            let sum: f32 = a.iter().zip(b).map(|(a, b)| (a - b).abs()).sum();
            255.0 * sum / voxels as f32
        };
        let (apart, lost) = (mean(volume.image(), &expected), mean(&input, &expected));
        let far = volume.image().iter().zip(&expected);
        let far = far.filter(|(a, b)| (*a - *b).abs() > 2.5 / 255.0).count();
        assert!(
            apart < 0.5 && apart < 0.4 * lost,
            "quality {quality}: {apart}, lost {lost}"
        );
        assert!(
            far * 20 <= voxels,
            "quality {quality}: {far} of {voxels} voxels"
        );
    }
}
