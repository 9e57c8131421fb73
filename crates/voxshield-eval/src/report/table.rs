use askama::Template;

use super::format::{distinct, maybe, same_victim, victim};
use crate::record::{EvaluationRecord, NO_DEFENCE, SummaryRow};

/// Victims without a defence, the training sets side by side: what controls are for.
#[derive(Template)]
#[template(path = "report/controls.html")]
pub(super) struct Controls {
    sets: Vec<String>,
    rows: Vec<ControlRow>,
}

struct ControlRow {
    victim: String,
    /// Final and peak Dice of each training set.
    cells: Vec<[String; 2]>,
}

impl Controls {
    pub(super) fn of(record: &EvaluationRecord) -> Self {
        let sets: Vec<String> = record
            .training_sets
            .iter()
            .map(|set| set.name.clone())
            .collect();
        let plain = || {
            record
                .summary
                .rows
                .iter()
                .filter(|row| row.key.defence == NO_DEFENCE)
        };
        let mut victims: Vec<&SummaryRow> = Vec::new();
        for row in plain() {
            if victims
                .iter()
                .all(|known| !same_victim(&known.key, &row.key))
            {
                victims.push(row);
            }
        }
        let rows = victims.into_iter().map(|first| ControlRow {
            victim: victim(&first.key),
            cells: sets
                .iter()
                .map(|set| {
                    let row = plain().find(|row| {
                        row.key.training_set == *set && same_victim(&row.key, &first.key)
                    });
                    let of = |score: fn(&SummaryRow) -> Option<&crate::record::Spread>| {
                        maybe(row.and_then(score))
                    };
                    [of(|row| row.last.as_ref()), of(|row| row.peak.as_ref())]
                })
                .collect(),
        });
        Self {
            rows: rows.collect(),
            sets,
        }
    }
}

/// Every row of the summary.
#[derive(Template)]
#[template(path = "report/rows.html")]
pub(super) struct Rows {
    rows: Vec<Row>,
    failures: Vec<Failure>,
}

struct Row {
    set: String,
    victim: String,
    defence: String,
    last: String,
    peak: String,
    seeds: String,
}

struct Failure {
    cells: usize,
    first: String,
    reason: String,
}

impl Rows {
    pub(super) fn of(record: &EvaluationRecord) -> Self {
        let rows = record.summary.rows.iter().map(|row| {
            let done = row.peak.map_or(0, |peak| peak.count);
            Row {
                set: row.key.training_set.clone(),
                victim: victim(&row.key),
                defence: row.key.defence.clone(),
                last: maybe(row.last.as_ref()),
                peak: maybe(row.peak.as_ref()),
                seeds: match row.failed {
                    0 => done.to_string(),
                    failed => format!("{done} ({failed} failed)"),
                },
            }
        });
        Self {
            rows: rows.collect(),
            failures: failures(record),
        }
    }
}

/// Reasons, each with the first cell that met it.
fn failures(record: &EvaluationRecord) -> Vec<Failure> {
    use super::format::victim_and_defence;
    use crate::record::Outcome;
    let failed: Vec<(String, &str)> = record
        .cells
        .iter()
        .filter_map(|cell| match &cell.outcome {
            Outcome::Failed { reason } => Some((
                format!(
                    "{}: {}, seed {}",
                    cell.key.training_set,
                    victim_and_defence(&cell.key),
                    cell.key.seed
                ),
                reason.as_str(),
            )),
            Outcome::Done(_) => None,
        })
        .collect();
    distinct(failed.iter().map(|(_, reason)| *reason))
        .into_iter()
        .filter_map(|reason| {
            let mut of_reason = failed.iter().filter(|(_, other)| *other == reason);
            let (first, _) = of_reason.next()?;
            Some(Failure {
                cells: 1 + of_reason.count(),
                first: first.clone(),
                reason: reason.to_owned(),
            })
        })
        .collect()
}
