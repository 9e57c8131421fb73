//! DiceCE and SPD against PyTorch's numbers and the f64 reference.

use burn::tensor::{Int, Tensor, TensorData};
use voxshield_kernels::{DiceCe, KernelError, reference, semantic_divergence};
use voxshield_testkit::{Golden, assert_close, device};

fn values<const D: usize>(t: Tensor<D>) -> Vec<f32> {
    t.into_data().try_to_vec().expect("f32 tensor")
}

#[test]
fn dice_ce_equals_monai_and_the_reference() {
    let golden = Golden::open("c_dicece");
    let device = device().autodiff();
    let cases: Vec<String> = golden
        .keys()
        .iter()
        .filter_map(|k| k.strip_suffix(".logits").map(str::to_owned))
        .collect();
    assert_eq!(cases.len(), 8, "all cases of the fixture");
    for case in cases {
        let key = |k: &str| format!("{case}.{k}");
        let logits = golden.tensor::<5>(&key("logits"), &device).require_grad();
        let labels = golden.int_tensor::<4>(&key("label"), &device);
        let class_weights = golden
            .has(&key("ce_weight"))
            .then(|| golden.values(&key("ce_weight")));
        let loss = DiceCe {
            class_weights: class_weights.clone(),
            ..DiceCe::default()
        };
        let value = loss.forward(logits.clone(), labels).unwrap();
        let gradients = value.backward();

        let expected = golden.values(&key("value"));
        assert_close(
            &case,
            &values(value),
            &expected,
            2e-6 * f64::from(expected[0]),
        );
        let expected_grad = golden.values(&key("grad"));
        let largest = f64::from(expected_grad.iter().fold(0f32, |a, v| a.max(v.abs())));
        let tolerance = if case.contains("large") { 1e-5 } else { 2e-6 };
        let got = values(logits.grad(&gradients).unwrap());
        assert_close(&key("gradient"), &got, &expected_grad, tolerance * largest);

        let [b, c, d, h, w] = logits.dims();
        let wide: Vec<f64> = golden
            .values(&key("logits"))
            .iter()
            .map(|&v| v.into())
            .collect();
        let labels: Vec<usize> = golden
            .ints(&key("label"))
            .iter()
            .map(|&v| v as usize)
            .collect();
        let weights: Option<Vec<f64>> =
            class_weights.map(|w| w.iter().map(|&v| v.into()).collect());
        let truth = reference::dice_ce(&wide, &labels, [b, c, d * h * w], weights.as_deref());
        assert!(
            (truth - f64::from(expected[0])).abs() < 2e-6 * truth,
            "{case}: {truth}"
        );
    }
}

#[test]
fn dice_ce_refuses_what_it_cannot_mean() {
    let device = device();
    let logits = Tensor::<5>::zeros([1, 3, 2, 2, 2], &device);
    let labels = Tensor::zeros([1, 2, 2, 3], &device);
    assert!(matches!(
        DiceCe::default().forward(logits.clone(), labels),
        Err(KernelError::Shape {
            argument: "labels",
            ..
        })
    ));
    let labels = Tensor::zeros([1, 2, 2, 2], &device);
    let loss = DiceCe {
        class_weights: Some(vec![1.0, 2.0]),
        ..DiceCe::default()
    };
    assert!(matches!(
        loss.forward(logits, labels.clone()),
        Err(KernelError::Parameter { .. })
    ));
    let one = Tensor::<5>::zeros([1, 1, 2, 2, 2], &device);
    assert!(matches!(
        DiceCe::default().forward(one, labels),
        Err(KernelError::TooShort { axis: "class", .. })
    ));
}

#[test]
fn semantic_divergence_equals_pytorch_and_the_reference() {
    let golden = Golden::open("b_logits_l1");
    let device = device().autodiff();
    let clean = golden.tensor::<5>("clean", &device);
    let noisy = golden.tensor::<5>("noisy", &device).require_grad();
    let loss = semantic_divergence(noisy.clone(), clean.clone()).unwrap() * -0.05;
    let gradients = loss.backward();
    let expected = golden.values("value");
    assert_close(
        "value",
        &values(loss),
        &expected,
        1e-6 * f64::from(expected[0].abs()),
    );
    assert_close(
        "gradient",
        &values(noisy.grad(&gradients).unwrap()),
        &golden.values("grad_noisy"),
        1e-9,
    );
    let wide = |k: &str| {
        golden
            .values(k)
            .iter()
            .map(|&v| v.into())
            .collect::<Vec<f64>>()
    };
    let truth = -0.05 * reference::semantic_divergence(&wide("noisy"), &wide("clean"));
    assert!((truth - f64::from(expected[0])).abs() < 1e-8);
    assert!(matches!(
        semantic_divergence(noisy, clean.narrow(0, 0, 1)),
        Err(KernelError::Shape { .. })
    ));
    let empty = Tensor::<5>::zeros([1, 2, 0, 3, 3], &device);
    assert!(matches!(
        semantic_divergence(empty.clone(), empty),
        Err(KernelError::TooShort { axis: "depth", .. })
    ));
}

/// MONAI's fixtures cannot tell 1e-5 from 1e-4: their sums are thousands. One voxel of background
/// with a foreground probability of 1e-5 can: `f = 1 - s / (1e-5 + s)`.
#[test]
fn the_smoothing_is_monais() {
    let odds = (1e-5f64 / (1.0 - 1e-5)).ln() as f32;
    let logits = TensorData::new(vec![0.0, odds], [1, 2, 1, 1, 1]);
    let logits = Tensor::<5>::from_data(logits, &device());
    let labels = Tensor::<4, Int>::zeros([1, 1, 1, 1], &device());
    let loss = DiceCe::default().forward(logits, labels).expect("a loss");
    let value: f32 = loss.into_scalar();
    assert!((value - 0.500_01).abs() < 1e-5, "{value}");
}
