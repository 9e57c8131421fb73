use super::chart::{Axis, Chart, Series};
use super::format::{distinct, same_victim, victim, victim_and_defence};
use crate::record::{Cell, CellKey, CurvePoint, EvaluationRecord, NO_DEFENCE, Role};

/// Charts of training: Dice on the clean test cases, and the training loss.
pub(super) struct Curves {
    pub(super) dice: Vec<Chart>,
    pub(super) loss: Vec<Chart>,
}

/// One chart for each victim without a defence, and one for the owner's worst case if it has one.
pub(super) fn curves(record: &EvaluationRecord) -> Curves {
    let plain = record.cells.iter().map(|cell| &cell.key);
    let plain = plain.filter(|key| key.defence == NO_DEFENCE);
    let protected = record
        .training_sets
        .iter()
        .filter(|set| set.role == Role::Protected);
    let worst = protected.filter_map(|set| {
        let mut worst = record.summary.worst.iter();
        worst.find(|worst| worst.training_set == set.name)
    });
    let shown = plain
        .chain(worst.map(|worst| &worst.peak_by))
        .map(|key| CellKey {
            training_set: String::new(),
            seed: 0,
            ..key.clone()
        });
    let shown = distinct(shown);
    let mut found = Curves {
        dice: Vec::new(),
        loss: Vec::new(),
    };
    for key in &shown {
        let own = || {
            let cells = record.cells.iter();
            cells.filter(|c| same_victim(&c.key, key) && c.key.defence == key.defence)
        };
        let has_points =
            own().any(|cell| cell.outcome.result().is_some_and(|r| !r.curve.is_empty()));
        if !has_points {
            continue;
        }
        let title = match key.defence.as_str() {
            NO_DEFENCE => victim(key),
            _ => victim_and_defence(key),
        };
        let series = |value: fn(&CurvePoint) -> f64| -> Vec<Series> {
            own().filter_map(|cell| one(record, cell, value)).collect()
        };
        let step = Axis {
            label: "step",
            limits: None,
            logarithmic: false,
        };
        let dice = Axis {
            label: "Dice on clean test cases",
            limits: Some([0.0, 1.0]),
            logarithmic: false,
        };
        let loss = Axis {
            label: "training loss",
            limits: None,
            logarithmic: false,
        };
        let describe = |what: &str| format!("{what} over the steps of {title}, one line a seed.");
        let text = describe("Dice on the clean test cases");
        found.dice.push(Chart::new(
            title.clone(),
            text,
            [step, dice],
            &series(|p| p.dice),
        ));
        let text = describe("Training loss");
        found.loss.push(Chart::new(
            title.clone(),
            text,
            [step, loss],
            &series(|p| p.loss),
        ));
    }
    found
}

fn one(record: &EvaluationRecord, cell: &Cell, value: fn(&CurvePoint) -> f64) -> Option<Series> {
    let mut sets = record.training_sets.iter();
    Some(Series {
        name: cell.key.training_set.clone(),
        style: sets.position(|set| set.name == cell.key.training_set)?,
        points: cell
            .outcome
            .result()?
            .curve
            .iter()
            .map(|point| [point.step as f64, value(point)])
            .collect(),
    })
}
