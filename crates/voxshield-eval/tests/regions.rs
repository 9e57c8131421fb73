//! Region scores against the reference's BraTS19 and FLARE21 evaluations.

use voxshield_eval::{
    EvalError,
    metrics::{Region, RegionEvaluation, argmax},
};
use voxshield_kernels::DiceCe;
use voxshield_testkit::{Golden, device};

const VOXELS: usize = 6 * 7 * 5;

fn labels(golden: &Golden, key: &str) -> Vec<u16> {
    let values = golden.ints(key);
    values.iter().map(|&v| u16::try_from(v).unwrap()).collect()
}

#[track_caller]
fn agree(what: &str, found: f64, expected: &serde_json::Value) {
    let expected = expected.as_f64().unwrap();
    assert!(
        (found - expected).abs() <= 1e-5,
        "{what}: expected {expected}, found {found}"
    );
}

struct Evaluated {
    dataset: &'static str,
    regions: Vec<Region>,
    classes: usize,
    class_weights: Option<Vec<f32>>,
}

fn evaluated() -> [Evaluated; 2] {
    [
        Evaluated {
            dataset: "brats19",
            regions: Region::brats19(),
            classes: 4,
            class_weights: None,
        },
        Evaluated {
            dataset: "flare21",
            regions: Region::flare21(),
            classes: 5,
            class_weights: Some(vec![0.1, 1.0, 1.0, 2.0, 3.0]),
        },
    ]
}

#[test]
fn scores_and_loss_equal_the_reference() {
    let (golden, json) = (Golden::open("h_eval"), Golden::json("h_eval"));
    for evaluated in evaluated() {
        let Evaluated {
            dataset,
            regions,
            classes,
            class_weights,
        } = evaluated;
        let expected = &json[dataset];
        let mut evaluation = RegionEvaluation::new(regions);
        let loss = DiceCe {
            class_weights,
            ..DiceCe::default()
        };
        let mut losses = 0.0;
        for batch in 0..2 {
            let (logits, label) = (
                format!("{dataset}.logits{batch}"),
                format!("{dataset}.label{batch}"),
            );
            let (values, truth) = (golden.values(&logits), labels(&golden, &label));
            for (values, truth) in values
                .chunks_exact(classes * VOXELS)
                .zip(truth.chunks_exact(VOXELS))
            {
                let prediction = argmax(values, classes).unwrap();
                evaluation.add(&prediction, truth).unwrap();
            }
            let device = device();
            let value = loss
                .forward(
                    golden.tensor(&logits, &device),
                    golden.int_tensor(&label, &device),
                )
                .unwrap();
            losses += f64::from(value.into_scalar::<f32>());
        }
        let report = evaluation.report();
        for region in &report.regions {
            agree(
                &region.name,
                region.dice.unwrap(),
                &expected[format!("{}_dc", region.name)],
            );
        }
        agree("mean dice", report.mean_dice, &expected["avg_dc"]);
        agree("mean iou", report.mean_iou, &expected["miou"]);
        agree("mean iou", report.mean_iou, &expected["jc"]);
        agree("loss", losses / 2.0, &expected["loss"]);
        let cases: Vec<usize> = report.regions.iter().map(|region| region.cases).collect();
        let known: &[usize] = match dataset {
            "brats19" => &[2, 3, 3],
            _ => &[3, 3, 3, 2],
        };
        assert_eq!(cases, known, "{dataset}");
    }
}

#[test]
fn the_presets_are_the_references_regions() {
    let golden = Golden::open("h_eval");
    for Evaluated {
        dataset, regions, ..
    } in evaluated()
    {
        let label = labels(&golden, &format!("{dataset}.label0"));
        let expected = golden.ints(&format!("{dataset}.regions_of_label0"));
        let found: Vec<i64> = label
            .chunks_exact(VOXELS)
            .flat_map(|sample| regions.iter().map(move |region| (sample, region)))
            .flat_map(|(sample, region)| {
                sample.iter().map(|v| i64::from(region.values.contains(v)))
            })
            .collect();
        assert_eq!(found, expected, "{dataset}");
    }
}

#[test]
fn a_region_that_never_occurs_has_no_score_and_is_left_out_of_the_mean() {
    let regions = vec![Region::new("here", [1]), Region::new("nowhere", [2, 3])];
    let mut evaluation = RegionEvaluation::new(regions);
    let empty = evaluation.report();
    assert_eq!((empty.mean_dice, empty.mean_iou), (0.0, 0.0));
    // False positives of both regions, in cases whose label has neither: dropped.
    evaluation.add(&[1, 2, 3, 1], &[0, 0, 0, 0]).unwrap();
    evaluation.add(&[1, 0, 3, 1], &[1, 1, 0, 1]).unwrap();
    assert!(matches!(
        evaluation.add(&[1], &[1, 1]),
        Err(EvalError::Length { .. })
    ));
    let report = evaluation.report();
    let [here, nowhere] = &report.regions[..] else {
        panic!("two regions were asked for");
    };
    assert_eq!(
        (here.dice, here.iou, here.cases),
        (Some(0.8), Some(2.0 / 3.0), 1)
    );
    assert_eq!((nowhere.dice, nowhere.iou, nowhere.cases), (None, None, 0));
    assert_eq!((report.mean_dice, report.mean_iou), (0.8, 2.0 / 3.0));
}

#[test]
fn argmax_takes_the_first_of_equals_and_refuses_what_does_not_divide() {
    let logits = [0.5, -1.0, 2.0, 0.5, 0.0, 2.0, 0.0, 3.0, 1.0];
    assert_eq!(argmax(&logits, 3).unwrap(), [0, 2, 0]);
    assert!(matches!(argmax(&logits, 2), Err(EvalError::Length { .. })));
    assert!(matches!(
        argmax(&logits, 0),
        Err(EvalError::Parameter { .. })
    ));
    assert!(matches!(
        argmax(&[], 65_537),
        Err(EvalError::Parameter { .. })
    ));
}
