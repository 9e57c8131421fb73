use serde::{Deserialize, Serialize};

use super::{Cell, CellKey, Spread};
use crate::training::{self, CleanCases};

/// The cells, with their seeds taken together.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// One row for each training set, network, preprocessing, augmentation and defence.
    pub rows: Vec<SummaryRow>,
    /// The owner's worst case, one entry a training set: the headline. Of victims that have the set's files alone.
    pub worst: Vec<WorstCase>,
    /// The same of victims that train on clean cases as well (`clean-mix`, `fine-tune`), where there are any. Part of what they learn is
    /// what these clean cases teach (`clean-only`).
    pub worst_with_clean: Vec<WorstCase>,
}

/// One victim over its seeds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SummaryRow {
    /// The victim; its seed is the first of the row and means nothing.
    pub key: CellKey,
    /// Clean-test Dice after the last step; `None` if every seed failed.
    #[serde(rename = "final")]
    pub last: Option<Spread>,
    /// Clean-test Dice at the peak.
    pub peak: Option<Spread>,
    /// Seeds that failed.
    pub failed: usize,
}

/// The victim that learns most from a training set. Those that see none of its files (`clean-only`, a control) are not compared: what
/// they learn says nothing about the set. Those that see clean cases beside them are compared among themselves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WorstCase {
    /// The training set's name.
    pub training_set: String,
    /// Highest mean (over seeds) of the peak Dice over all victims and defences: the headline.
    pub peak: Spread,
    /// The victim and defence that reach it.
    pub peak_by: CellKey,
    /// Highest mean of the Dice after the last step.
    #[serde(rename = "final")]
    pub last: Spread,
    /// The victim and defence that reach that.
    pub last_by: CellKey,
    /// Victims (rows) that were compared.
    pub compared: usize,
    /// Cells that failed and are not in the comparison.
    pub failed: usize,
}

impl Summary {
    /// Takes the seeds of the cells together. Rows stand in the order of the first cell of each.
    pub fn of(cells: &[Cell]) -> Self {
        let mut groups: Vec<Vec<&Cell>> = Vec::new();
        for cell in cells {
            match groups
                .iter_mut()
                .find(|group| same_victim(&group[0].key, &cell.key))
            {
                Some(group) => group.push(cell),
                None => groups.push(vec![cell]),
            }
        }
        let rows: Vec<SummaryRow> = groups.iter().map(|group| SummaryRow::of(group)).collect();
        let mut names: Vec<&str> = Vec::new();
        for row in &rows {
            if !names.contains(&row.key.training_set.as_str()) {
                names.push(&row.key.training_set);
            }
        }
        let worst = |from: Source| {
            let found = names.iter();
            found
                .filter_map(|name| WorstCase::of(name, from, &rows))
                .collect()
        };
        Self {
            worst: worst(Source::Set),
            worst_with_clean: worst(Source::WithClean),
            rows,
        }
    }
}

fn same_victim(a: &CellKey, b: &CellKey) -> bool {
    CellKey {
        seed: 0,
        ..a.clone()
    } == CellKey {
        seed: 0,
        ..b.clone()
    }
}

impl SummaryRow {
    fn of(group: &[&Cell]) -> Self {
        let done = || group.iter().filter_map(|cell| cell.outcome.result());
        Self {
            key: group[0].key.clone(),
            last: Spread::of(done().map(|result| result.last.mean_dice)),
            peak: Spread::of(done().map(|result| result.peak.mean_dice)),
            failed: group.len() - done().count(),
        }
    }
}

impl WorstCase {
    fn of(name: &str, from: Source, rows: &[SummaryRow]) -> Option<Self> {
        let own = || {
            let of_set = rows.iter().filter(|row| row.key.training_set == name);
            of_set.filter(|row| Source::of(&row.key.defence) == from)
        };
        let highest = |score: fn(&SummaryRow) -> Option<Spread>| {
            own()
                .filter_map(|row| Some((score(row)?, &row.key)))
                .max_by(|a, b| a.0.mean.total_cmp(&b.0.mean))
        };
        let ((peak, peak_by), (last, last_by)) = (highest(|r| r.peak)?, highest(|r| r.last)?);
        Some(Self {
            training_set: name.to_owned(),
            peak,
            peak_by: peak_by.clone(),
            last,
            last_by: last_by.clone(),
            compared: own().filter(|row| row.peak.is_some()).count(),
            failed: own().map(|row| row.failed).sum(),
        })
    }
}

/// What a victim is trained on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Source {
    /// Files of the training set alone.
    Set,
    /// These and some of their originals.
    WithClean,
    /// Originals alone.
    Clean,
}

impl Source {
    fn of(defence: &str) -> Self {
        let found = training::find(defence).ok().flatten();
        match found.map_or(CleanCases::None, |defence| defence.clean_cases()) {
            CleanCases::None => Self::Set,
            CleanCases::Mixed(_) | CleanCases::Before(_) => Self::WithClean,
            CleanCases::Only(_) => Self::Clean,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Augmentation, Preprocessing,
        record::{CellResult, Outcome, Scores},
    };

    fn cell(set: &str, defence: &str, seed: u64, dice: Option<(f64, f64)>) -> Cell {
        let scores = |mean_dice| Scores {
            mean_dice,
            labels: vec![],
            regions: vec![],
        };
        Cell {
            key: CellKey {
                training_set: set.into(),
                network: "residual-unet".into(),
                preprocessing: Preprocessing::Plain,
                augmentation: Augmentation::None,
                defence: defence.into(),
                seed,
            },
            hash: String::new(),
            outcome: match dice {
                None => Outcome::Failed {
                    reason: "out of memory".into(),
                },
                Some((last, peak)) => Outcome::Done(Box::new(CellResult {
                    last: scores(last),
                    peak: scores(peak),
                    peak_step: 1,
                    curve: vec![],
                    seconds: 1.0,
                })),
            },
        }
    }

    /// By hand: blur has the higher mean peak, none the higher mean at the end.
    #[test]
    fn the_worst_case_is_the_highest_mean_over_seeds() {
        let cells = [
            cell("a", "none", 0, Some((0.5, 0.5))),
            cell("a", "none", 1, Some((0.3, 0.5))),
            cell("a", "blur", 0, Some((0.1, 0.8))),
            cell("a", "blur", 1, Some((0.3, 0.4))),
            cell("a", "blur", 2, None),
            cell("b", "none", 0, None),
            cell("a", "clean-only:0.1", 0, Some((0.9, 0.9))),
            cell("a", "fine-tune", 0, Some((0.2, 0.85))),
            cell("a", "clean-mix:0.1", 0, Some((0.4, 0.7))),
        ];
        let summary = Summary::of(&cells);
        assert_eq!(summary.rows.len(), 6);
        assert_eq!(summary.rows[2].peak, None);
        assert_eq!(summary.worst.len(), 1, "no cell of b came to an end");
        let worst = &summary.worst[0];
        assert!((worst.peak.mean - 0.6).abs() < 1e-12);
        // Sample deviation of 0.8 and 0.4.
        assert!((worst.peak.sd - 0.08f64.sqrt()).abs() < 1e-12);
        assert_eq!((worst.peak.min, worst.peak.max), (0.4, 0.8));
        assert_eq!(worst.peak_by.defence, "blur");
        assert!((worst.last.mean - 0.4).abs() < 1e-12);
        assert_eq!(worst.last_by.defence, "none");
        assert_eq!((worst.compared, worst.failed), (2, 1));
        // What clean cases teach, such as the network that a fine-tuning starts from, stands apart.
        let [with_clean] = &summary.worst_with_clean[..] else {
            panic!("{:?}", summary.worst_with_clean)
        };
        assert_eq!(with_clean.peak.mean, 0.85);
        assert_eq!(with_clean.peak_by.defence, "fine-tune");
        assert_eq!(with_clean.last_by.defence, "clean-mix:0.1");
        assert_eq!((with_clean.compared, with_clean.failed), (2, 0));
    }

    #[test]
    fn a_record_reads_back_from_its_json() {
        for outcome in [Some((0.25, 0.5)), None] {
            let cell = cell("a", "none", 7, outcome);
            let text = serde_json::to_string(&cell).unwrap();
            assert_eq!(serde_json::from_str::<Cell>(&text).unwrap(), cell);
        }
        let text = serde_json::to_string(&cell("a", "none", 7, Some((0.25, 0.5)))).unwrap();
        assert!(
            text.contains(r#""state":"done","final":{"mean_dice":0.25"#),
            "{text}"
        );
    }
}
