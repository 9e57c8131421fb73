//! PSNR and SSIM against the reference's numbers (PyTorch).

use voxshield_eval::{
    EvalError,
    metrics::{psnr, ssim},
};
use voxshield_testkit::Golden;

fn expected(key: &str, index: Option<usize>) -> f64 {
    let json = Golden::json("h_iqa");
    match index {
        Some(i) => json[key][i].as_f64().unwrap(),
        None => json[key].as_f64().unwrap(),
    }
}

#[test]
fn psnr_and_ssim_equal_the_reference() {
    let golden = Golden::open("h_iqa");
    let (a, b) = (golden.values("a"), golden.values("b"));
    let sample = a.len() / 2;
    for i in 0..2 {
        let range = i * sample..(i + 1) * sample;
        let (a, b) = (&a[range.clone()], &b[range]);
        assert!((psnr(a, b).unwrap() - expected("psnr", Some(i))).abs() < 1e-4);
        let got = ssim(a, b, [16, 14, 13]).unwrap();
        assert!(
            (got - expected("ssim_per_sample", Some(i))).abs() < 1e-6,
            "{got}"
        );
    }
    let (c, d) = (golden.values("c_depth8"), golden.values("d_depth8"));
    let got = ssim(&c, &d, [8, 16, 16]).unwrap();
    assert!(
        (got - expected("ssim_small_depth_f64", None)).abs() < 1e-7,
        "{got}"
    );
    assert_eq!(psnr(&a, &a).unwrap(), f64::INFINITY);
    assert!((ssim(&a, &a, [16, 14, 13]).unwrap() - 1.0).abs() < 1e-12);
}

#[test]
fn arrays_that_do_not_fit_are_refused() {
    assert!(matches!(
        psnr(&[0.0; 3], &[0.0; 4]),
        Err(EvalError::Length { .. })
    ));
    assert!(matches!(psnr(&[], &[]), Err(EvalError::Length { .. })));
    assert!(matches!(
        ssim(&[0.0; 7], &[0.0; 7], [2, 2, 2]),
        Err(EvalError::Length { .. })
    ));
    assert!(matches!(
        ssim(&[], &[], [0, 2, 2]),
        Err(EvalError::Empty { .. })
    ));
}
