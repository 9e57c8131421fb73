use std::{collections::BTreeSet, path::PathBuf};

use super::{
    Method, PipelineError, PreparedCase, ProtectOptions,
    intensities::stated_modality,
    memory::{Work, check as check_memory},
    room::Room,
};
use crate::data::{Case, CtStatisticsBuilder, Dataset, Foreground, Modality};

/// What the first pass sees of a case: of its voxels only the foreground of CT channels stays.
pub(super) struct FirstLook {
    path: PathBuf,
    channels: usize,
    found: Result<Found, PipelineError>,
}

pub(super) struct Found {
    /// Stated, or guessed from this case.
    pub(super) modalities: Vec<Modality>,
    pub(super) classes: BTreeSet<u16>,
    /// One a channel; none for a channel that cannot be CT.
    pub(super) foregrounds: Vec<Option<Foreground>>,
    pub(super) warning: Option<String>,
}

/// Reads a case and checks that its files belong together.
pub(super) fn first_look(
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
        found: find(dataset, case, prepared, options),
    })
}

fn find(
    dataset: &Dataset,
    case: &Case,
    prepared: PreparedCase,
    options: &ProtectOptions,
) -> Result<Found, PipelineError> {
    prepared.refuse_image_as_label(dataset, case, options.labels)?;
    let choice = options.normalisation;
    let stated = |channel| stated_modality(dataset, choice, channel);
    // A guess goes over all voxels: only where nobody has said.
    let guess = |channel| Modality::guess_channel(&prepared.volume, channel);
    let modalities: Vec<Modality> = (0..prepared.volume.channels())
        .map(|channel| stated(channel).unwrap_or_else(|| guess(channel)))
        .collect();
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
            // Where nobody has said, the other cases decide.
            let ct = *modality == Modality::Ct || stated(channel).is_none();
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
    /// Adds the case to what is known of the dataset: the first one decides about the channels where the dataset does not say.
    pub(super) fn merge(
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
