use askama::Template;

use super::format::{same_victim, spread, victim_and_defence};
use crate::record::{EvaluationRecord, Role, Spread, TrainingSet, WorstCase};

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
    /// The worst case with clean cases beside, and who reaches it.
    with_clean: Option<(String, String)>,
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
    /// So many seeds are too few.
    FewSeeds { seeds: usize },
    /// Not further below the clean control than seeds may move victims.
    NotShown { margin: f64 },
    /// This share of the clean control's Dice is left, in percent.
    Left { percent: f64, random: Random },
}

/// What the same victim, with the same defence, learns from random noise of the same budget.
#[derive(Debug, Clone, PartialEq)]
enum Random {
    /// It was not tried, or in too few seeds.
    Unknown,
    /// Much more than from the protected files.
    More,
    /// As much: not further apart than seeds may move victims.
    Same { margin: f64 },
    /// Much less.
    Less,
}

/// Differences of mean Dice below this say nothing, however little the seeds differ.
const MEANINGFUL: f64 = 0.1;
/// A clean control below this leaves no room for a meaningful gap.
const LEARNT: f64 = 2.0 * MEANINGFUL;
/// Fewer seeds have no spread to speak of: victims of one kind may differ by .3.
const SEEDS: usize = 3;

/// One headline for each training set that is no control.
pub(super) fn headlines(record: &EvaluationRecord) -> Vec<Headline> {
    let worst = |set| of_set(&record.summary.worst, set);
    let of_role = |role: Role| {
        let set = record.training_sets.iter().find(|set| set.role == role);
        set.and_then(|set| Some((set, worst(set)?)))
    };
    let (clean, random) = (of_role(Role::Clean), of_role(Role::Random));
    let tested = record
        .training_sets
        .iter()
        .filter(|set| set.role == Role::Protected);
    tested
        .filter_map(|set| Some((set, worst(set)?)))
        .map(|(set, worst)| Headline {
            set: set.name.clone(),
            dice: spread(&worst.peak),
            verdict: verdict(
                worst.peak,
                clean.map(|(_, w)| w.peak),
                random.and_then(|(set, _)| same_attack(record, set, worst)),
            ),
            by: victim_and_defence(&worst.peak_by),
            last: spread(&worst.last),
            last_by: victim_and_defence(&worst.last_by),
            with_clean: of_set(&record.summary.worst_with_clean, set)
                .map(|worst| (spread(&worst.peak), victim_and_defence(&worst.peak_by))),
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

fn of_set<'a>(worst: &'a [WorstCase], set: &TrainingSet) -> Option<&'a WorstCase> {
    worst.iter().find(|worst| worst.training_set == set.name)
}

/// What the victim that is the worst case, with its defence, reaches on `set`.
fn same_attack(record: &EvaluationRecord, set: &TrainingSet, worst: &WorstCase) -> Option<Spread> {
    let by = &worst.peak_by;
    let mut rows = record.summary.rows.iter();
    let row = rows.find(|row| {
        row.key.training_set == set.name
            && same_victim(&row.key, by)
            && row.key.defence == by.defence
    })?;
    row.peak
}

fn verdict(worst: Spread, clean: Option<Spread>, random: Option<Spread>) -> Verdict {
    let Some(clean) = clean else {
        return Verdict::Unknown;
    };
    if clean.mean < LEARNT {
        return Verdict::Untrained;
    }
    let seeds = worst.count.min(clean.count);
    if seeds < SEEDS {
        return Verdict::FewSeeds { seeds };
    }
    let to_clean = margin(clean, worst);
    if clean.mean - worst.mean < to_clean {
        return Verdict::NotShown { margin: to_clean };
    }
    Verdict::Left {
        percent: 100.0 * worst.mean / clean.mean,
        random: match random.filter(|random| random.count >= SEEDS) {
            None => Random::Unknown,
            Some(random) => {
                let (gap, margin) = (random.mean - worst.mean, margin(random, worst));
                match gap.abs() < margin {
                    true => Random::Same { margin },
                    false if gap > 0.0 => Random::More,
                    false => Random::Less,
                }
            }
        },
    }
}

/// What two means have to be apart to say something: a tenth, or twice the standard deviation of the difference between a seed of the one
/// and a seed of the other.
fn margin(a: Spread, b: Spread) -> f64 {
    MEANINGFUL.max(2.0 * (a.sd.powi(2) + b.sd.powi(2)).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(mean: f64, sd: f64, count: usize) -> Spread {
        Spread {
            mean,
            sd,
            min: mean - sd,
            max: mean + sd,
            count,
        }
    }

    /// Three seeds that agree.
    fn sure(mean: f64) -> Spread {
        of(mean, 0.0, 3)
    }

    #[test]
    fn a_gap_below_a_tenth_is_no_protection() {
        let verdict = |worst, clean: Option<f64>| verdict(sure(worst), clean.map(sure), None);
        let none = Verdict::NotShown { margin: MEANINGFUL };
        assert_eq!(verdict(0.2, None), Verdict::Unknown);
        assert_eq!(verdict(0.0, Some(0.19)), Verdict::Untrained);
        assert_eq!(verdict(0.75, Some(0.8)), none);
        assert_eq!(verdict(0.9, Some(0.8)), none);
        let left = Verdict::Left {
            percent: 50.0,
            random: Random::Unknown,
        };
        assert_eq!(verdict(0.4, Some(0.8)), left);
    }

    #[test]
    fn few_seeds_and_seeds_that_differ_as_much_are_no_verdict() {
        let one = verdict(of(0.53, 0.0, 1), Some(of(0.85, 0.0, 1)), None);
        assert_eq!(one, Verdict::FewSeeds { seeds: 1 });
        // Either of the two may have too few.
        for (worst, clean) in [(2, 3), (3, 2)] {
            let two = verdict(of(0.53, 0.0, worst), Some(of(0.85, 0.0, clean)), None);
            assert_eq!(two, Verdict::FewSeeds { seeds: 2 });
        }
        // 2 sqrt(0.02^2 + 0.2^2) is 0.402, twice the gap.
        let found = verdict(of(0.65, 0.2, 3), Some(of(0.85, 0.02, 3)), None);
        let Verdict::NotShown { margin } = found else {
            panic!("{found:?}")
        };
        assert!((margin - 0.401_995).abs() < 1e-6, "{margin}");
        // The same means with seeds that agree.
        let found = verdict(of(0.65, 0.02, 3), Some(of(0.85, 0.02, 3)), None);
        assert!(matches!(found, Verdict::Left { .. }), "{found:?}");
    }

    #[test]
    fn random_noise_is_compared_in_both_directions() {
        let random =
            |worst, clean, random| match verdict(sure(worst), Some(sure(clean)), Some(random)) {
                Verdict::Left { random, .. } => random,
                other => panic!("{other:?}"),
            };
        assert_eq!(random(0.4, 0.8, sure(0.8)), Random::More);
        let same = Random::Same { margin: MEANINGFUL };
        assert_eq!(random(0.4, 0.8, sure(0.45)), same);
        assert_eq!(random(0.4, 0.8, sure(0.35)), same);
        // Further below than a tenth is not "about the same".
        assert_eq!(random(0.75, 0.868, sure(0.618)), Random::Less);
        assert_eq!(random(0.4, 0.8, of(0.8, 0.0, 1)), Random::Unknown);
        // Seeds on random noise that differ by as much as the gap.
        let wide = random(0.4, 0.8, of(0.79, 0.2, 3));
        assert!(matches!(wide, Random::Same { .. }), "{wide:?}");
    }
}
