use std::{collections::BTreeSet, path::Path};

use super::{NormalisationChoice, PipelineError, PreparedCase};
use crate::{
    data::{
        Case, CtStatisticsBuilder, Dataset, FailedCase, IntensityRange, Modality, Normalisation,
        NormalisationRecord, discover,
    },
    perturb::Support,
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
    /// Cases left out because the support needs labels that they do not have.
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
    /// One range a channel.
    pub ranges: Vec<IntensityRange>,
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
/// its intensity ranges and to check that epsilon is at least one stored step.
pub(super) fn scan(
    root: &Path,
    choice: NormalisationChoice,
    support: Support,
    epsilon: f64,
    observer: &mut dyn FnMut(ScanEvent),
) -> Result<Scanned, PipelineError> {
    scan_dataset(discover(root)?, choice, support, epsilon, observer)
}

/// As [`scan`], for a dataset whose files are known.
pub(super) fn scan_dataset(
    dataset: Dataset,
    choice: NormalisationChoice,
    support: Support,
    epsilon: f64,
    observer: &mut dyn FnMut(ScanEvent),
) -> Result<Scanned, PipelineError> {
    let mut failed: Vec<FailedCase> = dataset
        .problems
        .iter()
        .map(|p| failure(&p.id, &p.path, p.error.to_string()))
        .collect();
    let (usable, unlabelled): (Vec<Case>, Vec<Case>) = dataset
        .cases
        .iter()
        .cloned()
        .partition(|case| case.label.is_some());
    let skipped = unlabelled
        .iter()
        .map(|case| {
            let path = case.images.first().cloned().unwrap_or_default();
            let reason = "no label: not protected, and not copied to the output";
            failure(&case.id, &path, reason.to_owned())
        })
        .collect();
    let total = 2 * usable.len();
    let mut classes = BTreeSet::from([0u16]);
    let mut channels = None;
    let mut statistics: Vec<CtStatisticsBuilder> = Vec::new();
    let mut candidates = Vec::new();
    for (done, case) in usable.into_iter().enumerate() {
        match first_pass(
            &dataset,
            &case,
            choice,
            support,
            &mut channels,
            &mut statistics,
        ) {
            Ok((modalities, found, warning)) => {
                classes.extend(found);
                if let Some(warning) = warning {
                    observer(ScanEvent::Warning(format!("case {}: {warning}", case.id)));
                }
                candidates.push(Candidate { case, modalities });
            }
            Err(error) => failed.push(case_failure(&case, &error)),
        }
        observer(ScanEvent::Case {
            done: done + 1,
            total,
        });
    }
    let ct: Vec<_> = statistics
        .into_iter()
        .map(|s| (s.seen() > 0).then(|| s.finish()))
        .collect();
    let mut normalisers = Vec::with_capacity(ct.len());
    for statistics in ct {
        normalisers.push(statistics.transpose()?);
    }
    let mut records: Vec<NormalisationRecord> = Vec::new();
    let mut cases = Vec::new();
    let read = total / 2;
    for (index, candidate) in candidates.into_iter().enumerate() {
        let chosen: Vec<Normalisation> = candidate
            .modalities
            .iter()
            .enumerate()
            .map(
                |(channel, modality)| match (choice, modality, normalisers.get(channel)) {
                    (NormalisationChoice::Window { lo, hi }, _, _) => {
                        Normalisation::Window { lo, hi }
                    }
                    (_, Modality::Ct, Some(Some(statistics))) => Normalisation::Ct(*statistics),
                    _ => Normalisation::Mri,
                },
            )
            .collect();
        match second_pass(&dataset, &candidate.case, &chosen, epsilon) {
            Ok(ranges) => {
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
                cases.push(ScannedCase {
                    case: candidate.case,
                    ranges,
                });
            }
            Err(error) => failed.push(case_failure(&candidate.case, &error)),
        }
        observer(ScanEvent::Case {
            done: read + index + 1,
            total,
        });
    }
    Ok(Scanned {
        cases,
        failed,
        skipped,
        classes: classes.into_iter().collect(),
        channels: channels.unwrap_or(1),
        normalisation: records,
        dataset,
    })
}

type FirstPass = (Vec<Modality>, BTreeSet<u16>, Option<String>);

fn first_pass(
    dataset: &Dataset,
    case: &Case,
    choice: NormalisationChoice,
    support: Support,
    channels: &mut Option<usize>,
    statistics: &mut Vec<CtStatisticsBuilder>,
) -> Result<FirstPass, PipelineError> {
    let prepared = PreparedCase::open(dataset, case)?;
    let found = prepared.volume.channels();
    let expected = *channels.get_or_insert(found);
    if found != expected {
        return Err(PipelineError::Channels {
            path: prepared.volume.path().to_path_buf(),
            expected,
            found,
        });
    }
    let modalities = match choice {
        NormalisationChoice::Mri => vec![Modality::Mri; found],
        NormalisationChoice::Ct => vec![Modality::Ct; found],
        _ => prepared.modalities(dataset),
    };
    let mut values = BTreeSet::new();
    if let Some(labels) = &prepared.labels {
        if labels.foreground_count() == 0 {
            return Err(PipelineError::EmptySupport {
                path: labels.path().to_path_buf(),
                support: support.name(),
            });
        }
        values = labels.classes();
        statistics.resize_with(found, CtStatisticsBuilder::new);
        for (channel, modality) in modalities.iter().enumerate() {
            if *modality == Modality::Ct {
                statistics[channel].add(&prepared.volume, channel, labels)?;
            }
        }
    }
    Ok((modalities, values, prepared.warning))
}

fn second_pass(
    dataset: &Dataset,
    case: &Case,
    chosen: &[Normalisation],
    epsilon: f64,
) -> Result<Vec<IntensityRange>, PipelineError> {
    let prepared = PreparedCase::open(dataset, case)?;
    let ranges = chosen
        .iter()
        .enumerate()
        .map(|(channel, normalisation)| normalisation.range(&prepared.volume, channel))
        .collect::<Result<Vec<_>, _>>()?;
    prepared.volume.epsilon_stored(&ranges, epsilon)?;
    Ok(ranges)
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
