//! Overlap and surface distances of masks against MONAI's numbers.

use serde_json::Value;
use voxshield_eval::{
    EvalError,
    metrics::{Overlap, SurfaceDistances},
};
use voxshield_testkit::Golden;

const SHAPE: [usize; 3] = [12, 11, 10];

/// JSON has no NaN and no infinity: they are stored as texts.
fn number(value: &Value) -> f64 {
    value
        .as_f64()
        .unwrap_or_else(|| value.as_str().unwrap().parse().unwrap())
}

#[track_caller]
fn agree(what: &str, found: f64, expected: f64, tolerance: f64) {
    let close = found == expected
        || (found.is_nan() && expected.is_nan())
        || (found - expected).abs() <= tolerance;
    assert!(close, "{what}: expected {expected}, found {found}");
}

fn masks(case: &str) -> (Vec<u16>, Vec<u16>) {
    let golden = Golden::open("h_masks");
    assert_eq!(golden.shape(&format!("{case}.pred")), SHAPE);
    let mask = |which: &str| -> Vec<u16> {
        let values = golden.ints(&format!("{case}.{which}"));
        values.iter().map(|&v| u16::try_from(v).unwrap()).collect()
    };
    (mask("pred"), mask("gt"))
}

#[test]
fn every_case_equals_monai() {
    let json = Golden::json("h_metrics");
    let spacing: [f64; 3] = std::array::from_fn(|axis| number(&json["spacing"][axis]));
    let cases = json["cases"].as_object().unwrap();
    assert_eq!(cases.len(), 10);
    let mut checked = 0;
    for (case, expected) in cases {
        let (prediction, truth) = masks(case);
        let overlap = Overlap::count(&prediction, &truth, |v| v == 1).unwrap();
        let inside = |mask: &[u16]| -> Vec<bool> { mask.iter().map(|&v| v == 1).collect() };
        let (prediction, truth) = (inside(&prediction), inside(&truth));
        let measure =
            |spacing| SurfaceDistances::measure(&prediction, &truth, SHAPE, spacing).unwrap();
        let (unit, spaced) = (measure([1.0; 3]), measure(spacing));
        for (key, expected) in expected.as_object().unwrap() {
            let (found, tolerance) = match key.as_str() {
                "dice" => (overlap.dice().unwrap_or(f64::NAN), 1e-6),
                "iou" => (overlap.iou().unwrap_or(f64::NAN), 1e-6),
                "dice_ignore_empty_False" => (overlap.dice_of_all(), 1e-6),
                "iou_ignore_empty_False" => (overlap.iou_of_all(), 1e-6),
                key => {
                    let distances = if key.ends_with("_unit") {
                        &unit
                    } else {
                        &spaced
                    };
                    let name = key.split("_unit").next().unwrap();
                    let value = match name.split("_spacing").next().unwrap() {
                        "hd95" => distances.hausdorff95(),
                        "hd100" => distances.hausdorff(),
                        "asd_pred_to_gt" => distances.mean_to_truth(),
                        "assd_symmetric" => distances.symmetric_mean(),
                        other => panic!("no metric for {other}"),
                    };
                    (value, 1e-5)
                }
            };
            agree(
                &format!("{case}: {key}"),
                found,
                number(expected),
                tolerance,
            );
            checked += 1;
        }
    }
    assert_eq!(checked, 120);
}

#[test]
fn position_and_surrounding_background_do_not_matter() {
    // The same two masks within a larger volume. `border` touches the volume's end, where its
    // surface is: there is background now, and it stays the surface.
    for case in ["shifted", "pred_two_blobs", "border"] {
        let (prediction, truth) = masks(case);
        let shape = [15, 13, 17];
        let embed = |mask: &[u16]| {
            let mut out = vec![false; shape.iter().product()];
            for (i, &v) in mask.iter().enumerate() {
                let (z, y, x) = (i / 110, i / 10 % 11, i % 10);
                out[((z + 3) * shape[1] + y + 1) * shape[2] + x + 6] = v == 1;
            }
            out
        };
        let inside = |mask: &[u16]| -> Vec<bool> { mask.iter().map(|&v| v == 1).collect() };
        let spacing = [2.0, 0.7, 1.1];
        assert_eq!(
            SurfaceDistances::measure(&embed(&prediction), &embed(&truth), shape, spacing).unwrap(),
            SurfaceDistances::measure(&inside(&prediction), &inside(&truth), SHAPE, spacing)
                .unwrap()
        );
    }
}

#[test]
fn spacing_follows_the_axis_order() {
    let shape = [2, 3, 4];
    let at = |i: usize| -> Vec<bool> { (0..24).map(|j| i == j).collect() };
    let spacing = [5.0, 2.0, 0.25];
    for (voxel, expected) in [
        (12, 5.0),
        (8, 4.0),
        (3, 0.75),
        (12 + 8 + 3, 41.5625f64.sqrt()),
    ] {
        let distances = SurfaceDistances::measure(&at(0), &at(voxel), shape, spacing).unwrap();
        agree("hausdorff", distances.hausdorff(), expected, 1e-9);
        agree("assd", distances.symmetric_mean(), expected, 1e-9);
    }
}

#[test]
fn masks_that_do_not_fit_are_refused() {
    let measure = |voxels, shape, spacing| {
        SurfaceDistances::measure(&vec![true; voxels], &[true; 8], shape, spacing).unwrap_err()
    };
    assert!(matches!(
        measure(7, [2; 3], [1.0; 3]),
        EvalError::Length {
            what: "prediction",
            expected: 8,
            found: 7
        }
    ));
    assert!(matches!(
        measure(8, [2, 0, 2], [1.0; 3]),
        EvalError::Empty { .. }
    ));
    assert!(matches!(
        measure(8, [usize::MAX; 3], [1.0; 3]),
        EvalError::Length { .. }
    ));
    for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let error = measure(8, [2; 3], [1.0, bad, 1.0]);
        assert!(
            error.to_string().contains("voxel spacing: expected"),
            "{error}"
        );
    }
}
