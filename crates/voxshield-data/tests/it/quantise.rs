//! int8 perturbations, against the reference's numbers in `tests/golden/i_quantise.safetensors`.

use ndarray::{Array4, Ix4};
use voxshield_data::{DataError, Int8Code};

use crate::support::Fixture;

fn code(fixture: &Fixture) -> Int8Code {
    Int8Code::new(fixture.metadata("epsilon").parse().unwrap()).unwrap()
}

#[test]
fn codes_are_torchs_bit_for_bit() {
    let fixture = Fixture::open("i_quantise.safetensors");
    let code = code(&fixture);
    assert_eq!(
        code.scale(),
        fixture.metadata("scale").parse::<f64>().unwrap() as f32
    );
    let codes = code.quantise(fixture.f32::<Ix4>("noise").view()).unwrap();
    assert_eq!(codes, fixture.i8::<Ix4>("q"));
    let first: Vec<i8> = serde_json::from_str(&fixture.metadata("first14_q")).unwrap();
    assert_eq!(codes.iter().copied().take(14).collect::<Vec<_>>(), first);
}

#[test]
fn dequantised_values_are_torchs_and_near_the_noise() {
    let fixture = Fixture::open("i_quantise.safetensors");
    let code = code(&fixture);
    let found = code.dequantise(fixture.i8::<Ix4>("q").view());
    let epsilon: f32 = fixture.metadata("epsilon").parse().unwrap();
    let expected = fixture.f32::<Ix4>("dequantised");
    let noise = fixture.f32::<Ix4>("noise");
    for ((&found, expected), noise) in found.iter().zip(&expected).zip(&noise) {
        assert!((found - expected).abs() <= 1e-9, "{found} {expected}");
        let error = (found - noise.clamp(-epsilon, epsilon)).abs();
        assert!(error <= 0.501 * code.scale(), "{found} {noise}");
    }
}

#[test]
fn halves_go_to_even_and_the_ends_are_symmetric() {
    // A step of 2^-7: halves of it are exact in f32.
    let code = Int8Code::new(127.0 / 128.0).unwrap();
    let steps = [
        -200.0, -127.0, -2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 127.0, 200.0,
    ];
    let delta = Array4::from_shape_fn((1, 1, 2, 5), |(_, _, h, w)| steps[5 * h + w] / 128.0);
    let codes = code.quantise(delta.view()).unwrap();
    assert_eq!(
        codes.into_raw_vec_and_offset().0,
        [-127, -127, -2, -2, 0, 0, 2, 2, 127, 127]
    );
}

#[test]
fn noise_without_a_code_and_budgets_that_are_none_are_refused() {
    let code = Int8Code::new(0.1).unwrap();
    for bad in [f32::NAN, f32::INFINITY] {
        let mut delta = Array4::zeros((2, 2, 3, 4));
        delta[[1, 0, 2, 3]] = bad;
        let error = code.quantise(delta.view()).unwrap_err();
        assert!(
            matches!(
                error,
                DataError::NonFiniteDelta {
                    index: [1, 0, 2, 3],
                    ..
                }
            ),
            "{error}"
        );
    }
    for bad in [0.0, -0.1, 1.5, f64::NAN] {
        let error = Int8Code::new(bad).unwrap_err();
        assert!(matches!(error, DataError::InvalidEpsilon { .. }), "{error}");
    }
}
