//! The spectrum along the depth, against the transform by its definition and closed forms.

use voxshield_eval::{EvalError, metrics::depth_power};
use voxshield_testkit::Golden;

/// `mean |sum_z x(z) exp(-2 pi i k z / depth)|^2 / depth`, term by term.
fn by_definition(values: &[f32], [depth, height, width]: [usize; 3], k: usize) -> f64 {
    let (plane, volume) = (height * width, depth * height * width);
    let mut sum = 0.0;
    for channel in values.chunks(volume) {
        for line in 0..plane {
            let (mut re, mut im) = (0.0, 0.0);
            for z in 0..depth {
                let angle = std::f64::consts::TAU * (k * z) as f64 / depth as f64;
                let value = f64::from(channel[z * plane + line]);
                re += value * angle.cos();
                im -= value * angle.sin();
            }
            sum += re * re + im * im;
        }
    }
    sum / (values.len() / depth) as f64 / depth as f64
}

#[test]
fn the_power_equals_the_transform_by_its_definition() {
    let values = Golden::open("g_defense").values("image");
    // Odd and even depths, a single slice, two channels.
    for shape in [[9, 12, 10], [12, 9, 10], [1, 4, 5], [2, 3, 1]] {
        let voxels: usize = shape.iter().product();
        let values = &values[..2 * voxels];
        let found = depth_power(values, shape).unwrap();
        assert_eq!(found.len(), shape[0] / 2 + 1);
        for (k, found) in found.iter().enumerate() {
            let expected = by_definition(values, shape, k);
            assert!(
                (found - expected).abs() <= 1e-12 * expected.max(1.0),
                "{shape:?} {k}"
            );
        }
    }
}

#[test]
fn an_alternating_pattern_is_one_line_at_the_end() {
    let values: Vec<f32> = (0..8 * 6)
        .map(|i| if i / 6 % 2 == 0 { 0.25 } else { -0.25 })
        .collect();
    let power = depth_power(&values, [8, 2, 3]).unwrap();
    assert!((power[4] - 0.25 * 0.25 * 8.0).abs() < 1e-15);
    assert!(power[..4].iter().all(|p| *p < 1e-15));
}

#[test]
fn the_powers_add_up_to_the_energy() {
    let values = Golden::open("g_defense").values("image");
    let power = depth_power(&values, [9, 12, 10]).unwrap();
    // An odd depth: every frequency but 0 stands for its negative as well.
    let total = power[0] + 2.0 * power[1..].iter().sum::<f64>();
    let squares: f64 = values.iter().map(|v| f64::from(*v).powi(2)).sum();
    let energy = squares / (values.len() / 9) as f64;
    assert!((total - energy).abs() < 1e-12 * energy);
}

#[test]
fn arrays_that_do_not_fit_are_refused() {
    let refused = depth_power(&[0.0; 7], [2, 2, 2]);
    assert!(matches!(refused, Err(EvalError::Length { .. })));
    assert!(matches!(
        depth_power(&[], [2, 0, 2]),
        Err(EvalError::Empty { .. })
    ));
}
