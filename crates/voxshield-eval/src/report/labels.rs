use askama::Template;

use super::format::{number, victim_and_defence};
use crate::{
    metrics::RegionScore,
    record::{CellResult, EvaluationRecord, LabelScore, Spread, WorstCase},
};

/// Scores by label and by region, for the victim that learns most from each training set.
#[derive(Template)]
#[template(path = "report/labels.html")]
pub(super) struct Labels {
    groups: Vec<Group>,
}

struct Group {
    set: String,
    by: String,
    rows: Vec<LabelRow>,
}

struct LabelRow {
    name: String,
    cases: usize,
    found: String,
    dice: String,
    error: String,
    iou: String,
    hd95: String,
    assd: String,
}

impl Labels {
    pub(super) fn of(record: &EvaluationRecord) -> Self {
        let groups = record.summary.worst.iter().map(|worst| Group {
            set: worst.training_set.clone(),
            by: victim_and_defence(&worst.peak_by),
            rows: rows(record, worst),
        });
        Self {
            groups: groups.collect(),
        }
    }
}

fn rows(record: &EvaluationRecord, worst: &WorstCase) -> Vec<LabelRow> {
    let results: Vec<&CellResult> = record
        .cells
        .iter()
        .filter(|cell| {
            let key = crate::record::CellKey {
                seed: worst.peak_by.seed,
                ..cell.key.clone()
            };
            key == worst.peak_by
        })
        .filter_map(|cell| cell.outcome.result())
        .collect();
    let Some(first) = results.first() else {
        return Vec::new();
    };
    let labels = first.peak.labels.iter().enumerate().map(|(i, label)| {
        let over_seeds = |value: &dyn Fn(&LabelScore) -> Option<f64>| {
            mean(results.iter().filter_map(|r| value(r.peak.labels.get(i)?)))
        };
        let mut names = record.label_names.iter();
        let name = names.find(|(value, _)| *value == label.label);
        LabelRow {
            name: match name {
                Some((value, name)) => format!("{value} {name}"),
                None => label.label.to_string(),
            },
            cases: label.cases,
            found: number(over_seeds(&|l| Some(l.found as f64)), 1),
            dice: number(over_seeds(&|l| l.dice), 3),
            error: number(error(&results, i), 3),
            iou: number(over_seeds(&|l| l.iou), 3),
            hd95: number(over_seeds(&|l| l.hd95_mm), 2),
            assd: number(over_seeds(&|l| l.assd_mm), 2),
        }
    });
    let regions = first.peak.regions.iter().enumerate().map(|(i, region)| {
        let over_seeds = |value: fn(&RegionScore) -> Option<f64>| {
            let values = results.iter();
            mean(values.filter_map(|r| value(r.peak.regions.get(i)?)))
        };
        LabelRow {
            name: format!("region {}", region.name),
            cases: region.cases,
            found: "–".into(),
            dice: number(over_seeds(|r| r.dice), 3),
            error: "–".into(),
            iou: number(over_seeds(|r| r.iou), 3),
            hd95: "–".into(),
            assd: "–".into(),
        }
    });
    labels.chain(regions).collect()
}

/// The standard error over the test cases of a label's Dice, each case's being the mean over the seeds; `None` for fewer than two cases.
fn error(results: &[&CellResult], label: usize) -> Option<f64> {
    let by_case = |result: &&CellResult| Some(result.peak.labels.get(label)?.dice_by_case.clone());
    let seeds: Vec<Vec<f64>> = results.iter().filter_map(by_case).collect();
    let cases = seeds.first()?.len();
    let over_seeds =
        (0..cases).filter_map(|case| mean(seeds.iter().filter_map(|s| s.get(case).copied())));
    let spread = Spread::of(over_seeds)?;
    (spread.count > 1).then(|| spread.sd / (spread.count as f64).sqrt())
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    Spread::of(values).map(|spread| spread.mean)
}
