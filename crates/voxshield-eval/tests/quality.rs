//! PSNR, SSIM and noise metrics against the reference's numbers (PyTorch).

use serde_json::Value;
use voxshield_eval::{
    EvalError,
    metrics::{NoiseMetrics, psnr, ssim, ssim_in_range},
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
    assert_eq!((noise.l2, noise.linf, noise.tv), (2f64.sqrt(), 3.0, 1.0));
    assert!((noise.gradient - (10f64 / 7.0).sqrt()).abs() < 1e-15);
    let single = NoiseMetrics::measure(&[0.25], &[-0.25], [1; 3]).unwrap();
    assert_eq!((single.linf, single.tv, single.gradient), (0.5, 0.0, 0.0));
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
