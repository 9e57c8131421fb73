//! PSNR, SSIM and noise metrics against the reference's numbers (PyTorch).

use serde_json::Value;
use voxshield_eval::{
    EvalError,
    metrics::{
        NoiseMetrics, psnr, psnr_in_percentiles, psnr_inside, ssim, ssim_in_range, ssim_inside,
    },
};
use voxshield_testkit::Golden;

const SHAPE: [usize; 3] = [16, 14, 13];
/// What the reference's f64 values may differ by: about 4e-9, as its window is rounded to f32.
const F64: f64 = 1e-8;

#[track_caller]
fn agree(what: &str, found: f64, expected: &Value, tolerance: f64) {
    let expected = expected.as_f64().unwrap();
    assert!(
        (found - expected).abs() <= tolerance,
        "{what}: expected {expected}, found {found}"
    );
}

/// The two samples of a golden batch `[2, 2, 16, 14, 13]`.
fn samples(values: &[f32]) -> [&[f32]; 2] {
    let (first, second) = values.split_at(values.len() / 2);
    [first, second]
}

#[test]
fn psnr_and_ssim_equal_the_reference() {
    let (golden, json) = (Golden::open("h_iqa"), Golden::json("h_iqa"));
    let (a, b) = (golden.values("a"), golden.values("b"));
    for (i, (a, b)) in samples(&a).into_iter().zip(samples(&b)).enumerate() {
        agree("psnr", psnr(a, b).unwrap(), &json["psnr"][i], 1e-4);
        let found = ssim(a, b, SHAPE).unwrap();
        agree("ssim", found, &json["ssim_per_sample"][i], 1e-6);
    }
    // The samples have equally many channels, so the batch is one mean over all of them.
    let whole = ssim(&a, &b, SHAPE).unwrap();
    agree("ssim of the batch", whole, &json["ssim"], 1e-6);
    agree("ssim of the batch", whole, &json["ssim_f64"], F64);
}

#[test]
fn identical_images_are_infinitely_close_and_the_reference_stops_at_80_db() {
    let (golden, json) = (Golden::open("h_iqa"), Golden::json("h_iqa"));
    let a = golden.values("a");
    for (i, a) in samples(&a).into_iter().enumerate() {
        let found = psnr(a, a).unwrap();
        assert_eq!(found, f64::INFINITY);
        agree("psnr", found.min(80.0), &json["psnr_identical"][i], 1e-4);
        assert!((ssim(a, a, SHAPE).unwrap() - 1.0).abs() < 1e-12);
    }
}

#[test]
fn an_axis_shorter_than_the_window_is_not_smoothed() {
    let (golden, json) = (Golden::open("h_iqa"), Golden::json("h_iqa"));
    let (c, d) = (golden.values("c_depth8"), golden.values("d_depth8"));
    let found = ssim(&c, &d, [8, 16, 16]).unwrap();
    agree("ssim", found, &json["ssim_small_depth"], 1e-6);
    agree("ssim", found, &json["ssim_small_depth_f64"], F64);
}

#[test]
fn the_range_scales_with_the_intensities() {
    let (golden, json) = (Golden::open("h_iqa"), Golden::json("h_iqa"));
    let scaled = |key: &str| -> Vec<f32> { golden.values(key).iter().map(|v| v * 255.0).collect() };
    let (a, b) = (scaled("a"), scaled("b"));
    let found = ssim_in_range(&a, &b, SHAPE, 255.0).unwrap();
    agree("ssim", found, &json["ssim_data_range_255"], 1e-6);
    assert!((ssim(&a, &b, SHAPE).unwrap() - found).abs() > 1e-6);
}

#[test]
fn noise_metrics_equal_the_reference() {
    let (golden, json) = (Golden::open("h_iqa"), Golden::json("h_iqa"));
    let expected = &json["noise_metrics"];
    let noise = NoiseMetrics::measure(&golden.values("a"), &golden.values("b"), SHAPE).unwrap();
    for (key, found, relative) in [
        ("noise_l2", noise.l2, 2e-7),
        ("noise_linf", noise.linf, 2e-7),
        ("noise_tv", noise.tv, 1e-7),
        // Close enough to tell the pooled mean square from the mean over axes (9e-8 away).
        ("noise_grad_mean", noise.gradient, 1e-8),
    ] {
        let tolerance = relative * expected[key].as_f64().unwrap();
        agree(key, found, &expected[key], tolerance);
    }
}

#[test]
fn noise_metrics_of_a_step_follow_from_their_formulas() {
    // One channel, 2 x 1 x 3, n = (0 1 1 / 0 1 3): differences 0 0 2 along the depth, none along
    // the height, 1 0 and 1 2 along the width.
    let clean = [0.0; 6];
    let noise = NoiseMetrics::measure(&clean, &[0., 1., 1., 0., 1., 3.], [2, 1, 3]).unwrap();
    assert_eq!((noise.l1, noise.l2), (1.0, 2f64.sqrt()));
    assert_eq!((noise.linf, noise.tv), (3.0, 1.0));
    assert!((noise.gradient - (10f64 / 7.0).sqrt()).abs() < 1e-15);
    let single = NoiseMetrics::measure(&[0.25], &[-0.25], [1; 3]).unwrap();
    assert_eq!((single.linf, single.tv, single.gradient), (0.5, 0.0, 0.0));
}

#[test]
fn inside_a_mask_only_its_voxels_count() {
    // Two channels of three voxels; the mask leaves differences of 0.1, 0.2 and 0.3, 0.4.
    let protected = [0.1, 9.0, 0.2, 0.3, 9.0, 0.4];
    let found = psnr_inside(&[0.0; 6], &protected, &[true, false, true]).unwrap();
    let expected = -10.0 * ((0.01f64 + 0.04 + 0.09 + 0.16) / 4.0).log10();
    assert!((found.unwrap() - expected).abs() < 1e-6, "{found:?}");
    assert_eq!(
        psnr_inside(&[0.0; 6], &protected, &[false; 3]).unwrap(),
        None
    );
    assert!(psnr_inside(&[0.0; 6], &protected, &[true; 4]).is_err());
    assert!(psnr_inside(&[0.0; 6], &protected[1..], &[true; 3]).is_err());
}

/// The similarity of the window around one voxel, by its formula.
fn ssim_at(a: &[f32], b: &[f32], [z, y, x]: [usize; 3]) -> f64 {
    let (mut sums, mut weights) = ([0.0; 5], 0.0);
    for dz in 0..11 {
        for dy in 0..11 {
            for dx in 0..11 {
                let squared = [dz, dy, dx]
                    .map(|d| (d as f64 - 5.0).powi(2))
                    .iter()
                    .sum::<f64>();
                let weight = (-squared / 4.5).exp();
                let i = ((z + dz - 5) * SHAPE[1] + y + dy - 5) * SHAPE[2] + x + dx - 5;
                let (a, b) = (f64::from(a[i]), f64::from(b[i]));
                let terms = [a, b, a * a, b * b, a * b];
                sums.iter_mut()
                    .zip(terms)
                    .for_each(|(sum, term)| *sum += weight * term);
                weights += weight;
            }
        }
    }
    let [ma, mb, aa, bb, ab] = sums.map(|sum| sum / weights);
    let (va, vb, covariance) = (aa - ma * ma, bb - mb * mb, ab - ma * mb);
    (2.0 * ma * mb + 1e-4) * (2.0 * covariance + 9e-4)
        / ((ma * ma + mb * mb + 1e-4) * (va + vb + 9e-4))
}

#[test]
fn the_similarity_inside_a_mask_is_that_of_the_windows_around_its_voxels() {
    let golden = Golden::open("h_iqa");
    let (a, b) = (golden.values("a"), golden.values("b"));
    let (a, b) = (samples(&a)[0], samples(&b)[0]);
    let voxels: usize = SHAPE.iter().product();
    let whole = ssim_inside(a, b, SHAPE, &vec![true; voxels])
        .unwrap()
        .unwrap();
    assert!((whole - ssim(a, b, SHAPE).unwrap()).abs() < 1e-12);

    let mut mask = vec![false; voxels];
    // Two voxels with whole windows, and one at the corner that has none.
    let inside = [[5, 5, 5], [10, 8, 7]];
    for [z, y, x] in inside.into_iter().chain([[0, 0, 0]]) {
        mask[(z * SHAPE[1] + y) * SHAPE[2] + x] = true;
    }
    let expected: f64 = inside
        .into_iter()
        .flat_map(|voxel| [0, voxels].map(|c| ssim_at(&a[c..], &b[c..], voxel)))
        .sum();
    let found = ssim_inside(a, b, SHAPE, &mask).unwrap().unwrap();
    assert!(
        (found - expected / 4.0).abs() < 1e-9,
        "{found} and {}",
        expected / 4.0
    );

    mask = vec![false; voxels];
    mask[0] = true;
    assert_eq!(ssim_inside(a, b, SHAPE, &mask).unwrap(), None);
    assert!(ssim_inside(a, b, SHAPE, &mask[1..]).is_err());
}

/// By hand: of 201 evenly spaced values the percentiles are the second and the last but one.
#[test]
fn the_range_between_percentiles_is_that_of_each_clean_channel() {
    let (mut clean, mut protected) = (Vec::new(), Vec::new());
    for scale in [0.001f32, 0.01] {
        // From the largest to the smallest: the order does not matter.
        clean.extend((0..201u16).rev().map(|v| scale * f32::from(v)));
        protected.extend((0..201u16).rev().map(|v| scale * (f32::from(v) + 10.0)));
    }
    let shape = [3, 67, 1];
    let found = psnr_in_percentiles(&clean, &protected, shape).unwrap();
    let expected = 20.0 * (198.0f64 / 10.0).log10();
    assert!((found.unwrap() - expected).abs() < 1e-3, "{found:?}");
    // With the range 1 instead, and without changes.
    assert!(psnr(&clean, &protected).unwrap() < expected);
    let same = psnr_in_percentiles(&clean, &clean, shape).unwrap();
    assert_eq!(same, Some(f64::INFINITY));
    // A channel without extent has no such range.
    assert_eq!(
        psnr_in_percentiles(&[0.5; 8], &[0.6; 8], [2; 3]).unwrap(),
        None
    );
    assert!(psnr_in_percentiles(&[0.5; 8], &[0.6; 7], [2; 3]).is_err());
}

#[test]
fn arrays_that_do_not_fit_are_refused() {
    let short = |error| matches!(error, EvalError::Length { .. });
    assert!(short(psnr(&[0.0; 3], &[0.0; 4]).unwrap_err()));
    assert!(short(psnr(&[], &[]).unwrap_err()));
    assert!(short(ssim(&[0.0; 7], &[0.0; 7], [2; 3]).unwrap_err()));
    assert!(short(ssim(&[], &[], [2; 3]).unwrap_err()));
    assert!(short(ssim(&[0.0; 8], &[0.0; 7], [2; 3]).unwrap_err()));
    assert!(short(
        NoiseMetrics::measure(&[0.0; 8], &[0.0; 9], [2; 3]).unwrap_err()
    ));
    assert!(short(
        NoiseMetrics::measure(&[0.0; 9], &[0.0; 9], [2; 3]).unwrap_err()
    ));
    assert!(matches!(
        ssim(&[], &[], [0, 2, 2]),
        Err(EvalError::Empty { .. })
    ));
    for range in [0.0, -1.0, f64::NAN] {
        let refused = ssim_in_range(&[0.0; 8], &[0.0; 8], [2; 3], range);
        assert!(matches!(refused, Err(EvalError::Parameter { .. })));
    }
}
