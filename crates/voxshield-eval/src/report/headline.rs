use askama::Template;

use super::format::{spread, victim_and_defence};
use crate::record::{EvaluationRecord, Role, TrainingSet, WorstCase};

/// The owner's worst case of one protected training set, in words and numbers.
#[derive(Template)]
#[template(path = "report/headline.html")]
pub(super) struct Headline {
    set: String,
    dice: String,
    verdict: Verdict,
    by: String,
    last: String,
    last_by: String,
    compared: usize,
    failed: usize,
    controls: Vec<Control>,
}

/// A control beside the headline.
struct Control {
    name: String,
    dice: String,
}

/// What the worst case says.
#[derive(Debug, Clone, PartialEq)]
enum Verdict {
    /// There is no clean control to compare with.
    Unknown,
    /// Not even clean files taught these victims anything.
    Untrained,
    /// Less than [`MEANINGFUL`] below the clean control.
    NotShown,
    /// This share of the clean control's Dice is left, in percent.
    Left { percent: f64, against_random: bool },
}

/// Differences of mean Dice below this say nothing: seeds alone move small victims by as much.
const MEANINGFUL: f64 = 0.1;
/// A clean control below this leaves no room for a meaningful gap.
const LEARNT: f64 = 2.0 * MEANINGFUL;

/// One headline for each training set that is no control.
pub(super) fn headlines(record: &EvaluationRecord) -> Vec<Headline> {
    let of_role = |role: Role| {
        let set = record.training_sets.iter().find(|set| set.role == role);
        set.and_then(|set| Some((set, worst_of(record, set)?)))
    };
    let (clean, random) = (of_role(Role::Clean), of_role(Role::Random));
    let tested = record
        .training_sets
        .iter()
        .filter(|set| set.role == Role::Protected);
    tested
        .filter_map(|set| Some((set, worst_of(record, set)?)))
        .map(|(set, worst)| Headline {
            set: set.name.clone(),
            dice: spread(&worst.peak),
            verdict: verdict(
                worst.peak.mean,
                clean.map(|(_, w)| w.peak.mean),
                random.map(|(_, w)| w.peak.mean),
            ),
            by: victim_and_defence(&worst.peak_by),
            last: spread(&worst.last),
            last_by: victim_and_defence(&worst.last_by),
            compared: worst.compared,
            failed: worst.failed,
            controls: [clean, random]
                .into_iter()
                .flatten()
                .map(|(set, worst)| Control {
                    name: set.name.clone(),
                    dice: spread(&worst.peak),
                })
                .collect(),
        })
        .collect()
}

fn worst_of<'a>(record: &'a EvaluationRecord, set: &TrainingSet) -> Option<&'a WorstCase> {
    let mut found = record.summary.worst.iter();
    found.find(|worst| worst.training_set == set.name)
}

fn verdict(worst: f64, clean: Option<f64>, random: Option<f64>) -> Verdict {
    match clean {
        None => Verdict::Unknown,
        Some(clean) if clean < LEARNT => Verdict::Untrained,
        Some(clean) if clean - worst < MEANINGFUL => Verdict::NotShown,
        Some(clean) => Verdict::Left {
            percent: 100.0 * worst / clean,
            against_random: random.is_none_or(|random| random - worst >= MEANINGFUL),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_below_a_tenth_is_no_protection() {
        assert_eq!(verdict(0.2, None, Some(0.8)), Verdict::Unknown);
        assert_eq!(verdict(0.0, Some(0.19), None), Verdict::Untrained);
        assert_eq!(verdict(0.75, Some(0.8), None), Verdict::NotShown);
        assert_eq!(verdict(0.9, Some(0.8), None), Verdict::NotShown);
        let left = |against_random| Verdict::Left {
            percent: 50.0,
            against_random,
        };
        assert_eq!(verdict(0.4, Some(0.8), None), left(true));
        assert_eq!(verdict(0.4, Some(0.8), Some(0.8)), left(true));
        assert_eq!(verdict(0.4, Some(0.8), Some(0.45)), left(false));
    }
}
