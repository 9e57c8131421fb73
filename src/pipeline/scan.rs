use std::{collections::BTreeSet, path::Path};

use super::{
    LabelSource, NormalisationChoice, PipelineError, PreparedCase, ProtectOptions,
    first_look::first_look,
    intensities::{majority, stated_modality, stretched},
    lanes::in_order,
    memory::{Work, check as check_memory},
    room::Room,
};
use crate::data::{
    Case, CtStatisticsBuilder, DataError, Dataset, FailedCase, IntensityRange, LayoutError,
    Modality, Normalisation, NormalisationRecord, discover,
};

/// What a pass over a dataset found out; holds no voxels.
#[derive(Debug)]
pub struct Scanned {
    /// The dataset.
    pub dataset: Dataset,
    /// Usable cases.
    pub cases: Vec<ScannedCase>,
    /// Cases that cannot be used, with reasons.
    pub failed: Vec<FailedCase>,
    /// Cases left out because they have no label, unless labels are made for all of them ([`LabelSource::None`]).
    pub skipped: Vec<FailedCase>,
    /// All label values in order, 0 included.
    pub classes: Vec<u16>,
    /// Channels of every case.
    pub channels: usize,
    /// How each channel was normalised.
    pub normalisation: Vec<NormalisationRecord>,
}

/// A usable case and its intensity ranges.
#[derive(Debug, Clone)]
pub struct ScannedCase {
    /// Where its files are.
    pub case: Case,
    /// The modality of each channel, the same for all cases; guessed where neither dataset nor options say.
    pub modalities: Vec<Modality>,
    /// One range a channel.
    pub ranges: Vec<IntensityRange>,
    /// Epsilon in stored steps, one number a channel; `None` for floats.
    pub epsilon_stored: Vec<Option<i64>>,
}

impl Scanned {
    /// How many cases there are, if they lack labels and nothing else, be it that none was expected, and labels were asked for.
    pub(super) fn unlabelled(&self) -> Option<usize> {
        let missing = self.dataset.unlabelled.len();
        let alone = self.cases.is_empty() && self.failed.len() == missing;
        Some(missing + self.skipped.len()).filter(|&count| alone && count > 0)
    }
}

/// Progress of a scan.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ScanEvent {
    /// A case was read.
    Case {
        /// Cases read so far, over both passes.
        done: usize,
        /// Reads in all.
        total: usize,
    },
    /// Something to show.
    Warning(String),
}

/// A case that passed the first pass.
struct Candidate {
    case: Case,
    /// What its own intensities suggest, where nobody has said.
    guesses: Vec<Modality>,
}

/// Reads every case once to check it and to gather the dataset's statistics, and once more to fix
/// its intensity ranges and to check that epsilon is at least one stored step and the support not empty. A few cases are read at
/// the same time; all results, failures and events come in the order of the cases.
pub(super) fn scan(
    root: &Path,
    options: &ProtectOptions,
    work: Work<'_>,
    observer: &mut dyn FnMut(ScanEvent),
) -> Result<Scanned, PipelineError> {
    scan_dataset(discover(root)?, options, work, observer)
}

/// As [`scan`], for a dataset whose files are known.
pub(super) fn scan_dataset(
    dataset: Dataset,
    options: &ProtectOptions,
    work: Work<'_>,
    observer: &mut dyn FnMut(ScanEvent),
) -> Result<Scanned, PipelineError> {
    let (scanned, _) = scan_seeing(dataset, options, work, &|_, _| (), observer)?;
    Ok(scanned)
}

/// As [`scan_dataset`], and what `see` makes of each usable case while its voxels are in memory, in their order.
pub(super) fn scan_seeing<T: Send>(
    dataset: Dataset,
    options: &ProtectOptions,
    work: Work<'_>,
    see: &(impl Fn(&PreparedCase, &ScannedCase) -> T + Sync),
    observer: &mut dyn FnMut(ScanEvent),
) -> Result<(Scanned, Vec<T>), PipelineError> {
    let choice = options.normalisation;
    let dataset = match options.labels {
        LabelSource::Files => dataset,
        LabelSource::None { .. } => dataset.without_need_of_labels(),
    };
    let mut failed: Vec<FailedCase> = dataset
        .problems
        .iter()
        .map(|p| {
            let hint = match *p.error {
                DataError::Layout(LayoutError::MissingLabel { .. }) => {
                    "; --labels none protects cases without"
                }
                _ => "",
            };
            failure(&p.id, &p.path, format!("{}{hint}", p.error))
        })
        .collect();
    let (usable, unlabelled): (Vec<Case>, Vec<Case>) = dataset
        .cases
        .iter()
        .cloned()
        .partition(|case| case.label.is_some() || !options.labels.is_files());
    let skipped = unlabelled
        .iter()
        .map(|case| {
            let path = case.images.first().cloned().unwrap_or_default();
            let reason = "no label: not protected, and not copied to the output; --labels none protects cases without";
            failure(&case.id, &path, reason.to_owned())
        })
        .collect();
    let total = 2 * usable.len();
    let mut classes = BTreeSet::from([0u16]);
    let mut channels = dataset.stated_channels();
    let mut statistics: Vec<CtStatisticsBuilder> = Vec::new();
    let mut candidates = Vec::new();
    in_order(
        usable.len(),
        |index| first_look(&dataset, &usable[index], options),
        |index, look| {
            let case = &usable[index];
            match look.and_then(|look| look.merge(&mut channels, &mut statistics)) {
                Ok(found) => {
                    classes.extend(found.classes);
                    if let Some(warning) = found.warning {
                        observer(ScanEvent::Warning(format!("case {}: {warning}", case.id)));
                    }
                    candidates.push(Candidate {
                        case: case.clone(),
                        guesses: found.modalities,
                    });
                }
                Err(error) => failed.push(case_failure(case, &error)),
            }
            let done = index + 1;
            observer(ScanEvent::Case { done, total });
        },
    );
    let modalities: Vec<Modality> = (0..statistics.len())
        .map(|channel| {
            let stated = stated_modality(&dataset, choice, channel);
            let guesses = candidates.iter().filter_map(|candidate| {
                let guess = candidate.guesses.get(channel)?;
                Some((candidate.case.id.as_str(), *guess))
            });
            stated.unwrap_or_else(|| {
                let (modality, warning) = majority(channel, guesses);
                warning
                    .into_iter()
                    .map(ScanEvent::Warning)
                    .for_each(&mut *observer);
                modality
            })
        })
        .collect();
    // One that gives no range is an error of the cases that need it.
    let mut normalisers = Vec::with_capacity(statistics.len());
    for (statistics, modality) in statistics.into_iter().zip(&modalities) {
        let needed = *modality == Modality::Ct && statistics.seen() > 0;
        normalisers.push(match needed.then(|| statistics.finish()) {
            None => None,
            Some(Ok(statistics)) => Some(Ok(statistics)),
            Some(Err(DataError::Intensity(error))) => Some(Err(error)),
            Some(Err(error)) => return Err(error.into()),
        });
    }
    let mut records: Vec<NormalisationRecord> = Vec::new();
    let (mut cases, mut all_seen) = (Vec::new(), Vec::new());
    let read = total / 2;
    let choose = || -> Result<Vec<Normalisation>, PipelineError> {
        let channels = modalities.iter().zip(&normalisers);
        channels
            .map(
                |(modality, statistics)| match (choice, modality, statistics) {
                    (NormalisationChoice::Window { lo, hi }, _, _) => {
                        Ok(Normalisation::Window { lo, hi })
                    }
                    (_, Modality::Ct, Some(Ok(statistics))) => Ok(Normalisation::Ct(*statistics)),
                    (_, Modality::Ct, Some(Err(error))) => {
                        Err(DataError::from(error.clone()).into())
                    }
                    _ => Ok(Normalisation::Mri),
                },
            )
            .collect()
    };
    in_order(
        candidates.len(),
        |index| -> Result<_, PipelineError> {
            let candidate = &candidates[index];
            let chosen = choose()?;
            let how = (modalities.as_slice(), chosen.as_slice());
            let look = second_look(&dataset, &candidate.case, how, options, work, see)?;
            Ok((chosen, look))
        },
        |index, look| {
            let candidate = &candidates[index];
            match look {
                Ok((chosen, (case, seen, warnings))) => {
                    for warning in warnings {
                        let id = &case.case.id;
                        observer(ScanEvent::Warning(format!("case {id}: {warning}")));
                    }
                    for (channel, normalisation) in chosen.into_iter().enumerate() {
                        let name = dataset.channels.get(channel).map(|c| c.name.clone());
                        let record = NormalisationRecord {
                            channel: name.unwrap_or_else(|| channel.to_string()),
                            modality: modalities.get(channel).copied(),
                            normalisation,
                        };
                        if !records.contains(&record) {
                            records.push(record);
                        }
                    }
                    cases.push(case);
                    all_seen.push(seen);
                }
                Err(error) => failed.push(case_failure(&candidate.case, &error)),
            }
            let done = read + index + 1;
            observer(ScanEvent::Case { done, total });
        },
    );
    let scanned = Scanned {
        cases,
        failed,
        skipped,
        classes: classes.into_iter().collect(),
        channels: channels.unwrap_or(1),
        normalisation: records,
        dataset,
    };
    Ok((scanned, all_seen))
}

fn second_look<T>(
    dataset: &Dataset,
    case: &Case,
    (modalities, chosen): (&[Modality], &[Normalisation]),
    options: &ProtectOptions,
    work: Work<'_>,
    see: &impl Fn(&PreparedCase, &ScannedCase) -> T,
) -> Result<(ScannedCase, T, Vec<String>), PipelineError> {
    check_memory(dataset, case, work, options.max_memory)?;
    let _room = Room::of_case(dataset, case);
    let prepared = PreparedCase::open_with(dataset, case, options.labels)?;
    let ranges = chosen
        .iter()
        .enumerate()
        .map(|(channel, normalisation)| normalisation.range(&prepared.volume, channel))
        .collect::<Result<Vec<_>, _>>()?;
    // The label with the smallest share must have a step of its own, or its weight is a silent 0.
    let (epsilon, share) = (options.method.epsilon(), options.label_weights.smallest());
    let steps = |epsilon| prepared.volume.epsilon_stored(&ranges, epsilon);
    let epsilon_stored = steps(epsilon)?;
    steps(epsilon * f64::from(share)).map_err(|error| match error {
        DataError::EpsilonBelowOneStep {
            path,
            channel,
            smallest,
            ..
        } => PipelineError::ShareBelowOneStep {
            path,
            channel,
            share,
            epsilon,
            smallest: smallest / f64::from(share),
        },
        error => error.into(),
    })?;
    prepared.support(options, &case.id, &ranges)?;
    let scanned = ScannedCase {
        case: case.clone(),
        modalities: modalities.to_vec(),
        ranges,
        epsilon_stored,
    };
    let seen = see(&prepared, &scanned);
    let warnings = match work {
        Work::Protect(_) => stretched(&prepared.volume, chosen, &scanned.ranges),
        _ => Vec::new(),
    };
    Ok((scanned, seen, warnings))
}

pub(super) fn case_failure(case: &Case, error: &PipelineError) -> FailedCase {
    let path = case.images.first().cloned().unwrap_or_default();
    failure(&case.id, &path, error.to_string())
}

fn failure(id: &str, path: &Path, reason: String) -> FailedCase {
    FailedCase {
        id: id.to_owned(),
        path: path.to_string_lossy().replace('\\', "/"),
        reason,
    }
}
