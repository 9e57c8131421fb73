use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use super::{
    LabelSource, Method, NormalisationChoice, PipelineError, PreparedCase, ProtectOptions,
    lanes::in_order,
    memory::{Work, check as check_memory},
    room::Room,
};
use crate::data::{
    Case, CtStatisticsBuilder, DataError, Dataset, FailedCase, Foreground, IntensityRange,
    LayoutError, Modality, Normalisation, NormalisationRecord, discover,
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
    /// How each channel (and modality, where a dataset mixes them) was normalised.
    pub normalisation: Vec<NormalisationRecord>,
}

/// A usable case and its intensity ranges.
#[derive(Debug, Clone)]
pub struct ScannedCase {
    /// Where its files are.
    pub case: Case,
    /// The modality of each channel; guessed where neither dataset nor options say.
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
    modalities: Vec<Modality>,
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
    let mut channels = None;
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
                        modalities: found.modalities,
                    });
                }
                Err(error) => failed.push(case_failure(case, &error)),
            }
            let done = index + 1;
            observer(ScanEvent::Case { done, total });
        },
    );
    let ct: Vec<_> = statistics
        .into_iter()
        .map(|s| (s.seen() > 0).then(|| s.finish()))
        .collect();
    let mut normalisers = Vec::with_capacity(ct.len());
    for statistics in ct {
        normalisers.push(statistics.transpose()?);
    }
    let mut records: Vec<NormalisationRecord> = Vec::new();
    let (mut cases, mut all_seen) = (Vec::new(), Vec::new());
    let read = total / 2;
    let choose = |candidate: &Candidate| -> Vec<Normalisation> {
        let modalities = candidate.modalities.iter().enumerate();
        modalities
            .map(
                |(channel, modality)| match (choice, modality, normalisers.get(channel)) {
                    (NormalisationChoice::Window { lo, hi }, _, _) => {
                        Normalisation::Window { lo, hi }
                    }
                    (_, Modality::Ct, Some(Some(statistics))) => Normalisation::Ct(*statistics),
                    _ => Normalisation::Mri,
                },
            )
            .collect()
    };
    in_order(
        candidates.len(),
        |index| {
            let candidate = &candidates[index];
            let chosen = choose(candidate);
            second_look(&dataset, candidate, &chosen, options, work, see)
                .map(|(case, seen)| (chosen, case, seen))
        },
        |index, look| {
            let candidate = &candidates[index];
            match look {
                Ok((chosen, case, seen)) => {
                    for (channel, normalisation) in chosen.into_iter().enumerate() {
                        let name = dataset.channels.get(channel).map(|c| c.name.clone());
                        let record = NormalisationRecord {
                            channel: name.unwrap_or_else(|| channel.to_string()),
                            modality: Some(candidate.modalities[channel]),
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

/// What the first pass sees of a case: of its voxels only the foreground of CT channels stays.
struct FirstLook {
    path: PathBuf,
    channels: usize,
    found: Result<Found, PipelineError>,
}

struct Found {
    modalities: Vec<Modality>,
    classes: BTreeSet<u16>,
    /// One a channel; none for a channel that is not CT.
    foregrounds: Vec<Option<Foreground>>,
    warning: Option<String>,
}

fn first_look(
    dataset: &Dataset,
    case: &Case,
    options: &ProtectOptions,
) -> Result<FirstLook, PipelineError> {
    // What the case takes to be read, whatever is done with it later: the statistics of a dataset must not depend on the method.
    let reading = Work::Verify(options.support);
    let _room = Room::of(check_memory(dataset, case, reading, options.max_memory)?);
    let prepared = PreparedCase::open_with(dataset, case, options.labels)?;
    Ok(FirstLook {
        path: prepared.volume.path().to_path_buf(),
        channels: prepared.volume.channels(),
        found: find(dataset, prepared, options),
    })
}

fn find(
    dataset: &Dataset,
    prepared: PreparedCase,
    options: &ProtectOptions,
) -> Result<Found, PipelineError> {
    let channels = prepared.volume.channels();
    let modalities = match options.normalisation {
        NormalisationChoice::Mri => vec![Modality::Mri; channels],
        NormalisationChoice::Ct => vec![Modality::Ct; channels],
        _ => prepared.modalities(dataset),
    };
    let (mut classes, mut foregrounds) = (BTreeSet::new(), Vec::new());
    if let Some(labels) = &prepared.labels {
        if labels.foreground_count() == 0 {
            return Err(PipelineError::NoForeground {
                path: labels.path().to_path_buf(),
            });
        }
        classes = labels.classes();
        if let Method::SavedGenerator(saved) = &options.method {
            saved.check_labels(&classes)?;
        }
        for (channel, modality) in modalities.iter().enumerate() {
            let ct = *modality == Modality::Ct;
            let foreground = ct.then(|| Foreground::of(&prepared.volume, channel, labels));
            foregrounds.push(foreground.transpose()?);
        }
    }
    Ok(Found {
        modalities,
        classes,
        foregrounds,
        warning: prepared.warning,
    })
}

impl FirstLook {
    /// Adds the case to what is known of the dataset: the first one decides about the channels.
    fn merge(
        self,
        channels: &mut Option<usize>,
        statistics: &mut Vec<CtStatisticsBuilder>,
    ) -> Result<Found, PipelineError> {
        let expected = *channels.get_or_insert(self.channels);
        if self.channels != expected {
            return Err(PipelineError::Channels {
                path: self.path,
                expected,
                found: self.channels,
            });
        }
        let found = self.found?;
        statistics.resize_with(self.channels, CtStatisticsBuilder::new);
        for (statistics, foreground) in statistics.iter_mut().zip(&found.foregrounds) {
            if let Some(foreground) = foreground {
                statistics.add_foreground(foreground);
            }
        }
        Ok(found)
    }
}

fn second_look<T>(
    dataset: &Dataset,
    Candidate { case, modalities }: &Candidate,
    chosen: &[Normalisation],
    options: &ProtectOptions,
    work: Work<'_>,
    see: &impl Fn(&PreparedCase, &ScannedCase) -> T,
) -> Result<(ScannedCase, T), PipelineError> {
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
        modalities: modalities.clone(),
        ranges,
        epsilon_stored,
    };
    let seen = see(&prepared, &scanned);
    Ok((scanned, seen))
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
