use std::{ops::Range, path::PathBuf};

use super::{LabelSource, PipelineError, ProtectOptions, pseudo_labels::pseudo_labels};
use crate::{
    data::{Case, Dataset, IntensityRange, LabelMap, Modality, Shares, SharesBuilder, Volume},
    perturb::{CaseSlices, TrainingVolume},
};

/// One case, read and checked: volumes on the canonical axes.
#[derive(Debug)]
pub struct PreparedCase {
    /// The image.
    pub volume: Volume,
    /// The labels; absent for an unlabelled case.
    pub labels: Option<LabelMap>,
    /// Warnings worth showing, e.g. small differences between the affines.
    pub warning: Option<String>,
    /// The labels as the file has them, and the one of voxels that nobody has labelled, which is background in `labels`.
    ignoring: Option<(LabelMap, u16)>,
}

impl PreparedCase {
    /// Reads image and labels and checks that they belong together.
    ///
    /// # Errors
    /// [`PipelineError::Data`] with the path and the reason.
    pub fn open(dataset: &Dataset, case: &Case) -> Result<Self, PipelineError> {
        let volume = Volume::open(&dataset.absolute(&case.images))?;
        let mut warnings = Vec::from_iter(volume.geometry_warning());
        let (mut labels, mut ignoring) = (None, None);
        if let Some(path) = &case.label {
            let found = LabelMap::open(&dataset.root.join(path))?;
            warnings.extend(found.check_matches(&volume)?);
            labels = Some(match dataset.ignored_label() {
                None => found,
                Some(ignored) => {
                    let without = found.without(ignored);
                    ignoring = Some((found, ignored));
                    without
                }
            });
        }
        Ok(Self {
            volume,
            labels,
            warning: (!warnings.is_empty()).then(|| warnings.join("; ")),
            ignoring,
        })
    }

    /// As [`PreparedCase::open`], with labels from where a run takes them.
    ///
    /// # Errors
    /// As [`PreparedCase::open`].
    pub fn open_with(
        dataset: &Dataset,
        case: &Case,
        labels: LabelSource,
    ) -> Result<Self, PipelineError> {
        let LabelSource::None { classes } = labels else {
            return Self::open(dataset, case);
        };
        let volume = Volume::open(&dataset.absolute(&case.images))?;
        Ok(Self {
            labels: Some(pseudo_labels(&volume, classes)?),
            warning: volume.geometry_warning(),
            volume,
            ignoring: None,
        })
    }

    /// The label is copied byte for byte: it must not be the image, wherever the labels of the run are from.
    pub(super) fn refuse_image_as_label(
        &self,
        dataset: &Dataset,
        case: &Case,
        labels: LabelSource,
    ) -> Result<(), PipelineError> {
        let Some(path) = case.label.as_ref().map(|label| dataset.root.join(label)) else {
            return Ok(());
        };
        let image = &self.volume;
        let channel = match self.stored_labels().filter(|_| labels.is_files()) {
            Some(labels) => image.channel_with(labels.values().map(f32::from)),
            None => {
                let label = Volume::open(std::slice::from_ref(&path))?;
                let mut channels = 0..label.channels();
                channels.find_map(|channel| image.channel_with(label.channel_values(channel)))
            }
        };
        match channel {
            None => Ok(()),
            Some(channel) => Err(PipelineError::LabelIsImage {
                path,
                image: image.path().to_path_buf(),
                channel,
            }),
        }
    }

    /// The labels as their file has them.
    pub(super) fn stored_labels(&self) -> Option<&LabelMap> {
        match &self.ignoring {
            Some((labels, _)) => Some(labels),
            None => self.labels.as_ref(),
        }
    }

    /// The modality of each channel: what the dataset says, else a guess from the channel's intensities in this case.
    pub fn modalities(&self, dataset: &Dataset) -> Vec<Modality> {
        (0..self.volume.channels())
            .map(|channel| {
                let stated = dataset.channels.get(channel).and_then(|c| c.modality);
                stated.unwrap_or_else(|| Modality::guess_channel(&self.volume, channel))
            })
            .collect()
    }

    /// Normalised intensities `[channel, depth, height, width]` in 0..1, in C order.
    pub fn normalised(&self, ranges: &[IntensityRange]) -> Vec<f32> {
        self.normalised_slab(ranges, 0..self.volume.shape()[0])
    }

    /// As [`PreparedCase::normalised`], of some slices.
    pub(super) fn normalised_slab(
        &self,
        ranges: &[IntensityRange],
        slices: Range<usize>,
    ) -> Vec<f32> {
        let mut slab = self.volume.slab(slices);
        for (mut channel, range) in slab.outer_iter_mut().zip(ranges) {
            channel.mapv_inplace(|value| range.normalise_value(value));
        }
        slab.into_raw_vec_and_offset().0
    }

    /// Label values `[depth, height, width]` in C order; all 0 for an unlabelled case.
    pub fn label_values(&self) -> Vec<u16> {
        self.label_slab(0..self.volume.shape()[0])
    }

    /// As [`PreparedCase::label_values`], of some slices.
    pub(super) fn label_slab(&self, slices: Range<usize>) -> Vec<u16> {
        match &self.labels {
            Some(labels) => labels.slab(slices).into_raw_vec_and_offset().0,
            None => vec![0; slices.len() * self.volume.shape()[1..].iter().product::<usize>()],
        }
    }

    /// Its slices for whoever goes over them, normalised.
    pub(super) fn slices<'a>(&'a self, ranges: &'a [IntensityRange]) -> impl CaseSlices + 'a {
        NormalisedCase {
            prepared: self,
            ranges,
        }
    }

    /// The share of epsilon that each voxel may use: that of the run's support, times that of its label; none where nobody has
    /// labelled (nnU-Net's `ignore`). `id` is the case's.
    ///
    /// # Errors
    /// [`PipelineError::EmptySupport`] if no voxel may change, [`PipelineError::Perturb`] for settings out of range.
    pub fn support(
        &self,
        options: &ProtectOptions,
        id: &str,
        ranges: &[IntensityRange],
    ) -> Result<Shares, PipelineError> {
        let (support, weights) = (options.support, &options.label_weights);
        let ignored = self.ignoring.as_ref().map(|(_, ignored)| *ignored);
        let weight = |label| match Some(label) == ignored {
            true => 0.0,
            false => weights.share(label),
        };
        let shares = match (support.by_label(), self.stored_labels()) {
            (Some(share), Some(labels)) => labels.shares(|label| share(label) * weight(label)),
            _ => {
                let mut shares = SharesBuilder::new(self.volume.shape());
                let key = case_seed(options.method.seed(), id);
                support.masks(&self.slices(ranges), key, &mut |slices, mask| {
                    let labels = self.stored_labels();
                    let labels = labels.filter(|_| ignored.is_some() || !weights.is_empty());
                    let Some(labels) = labels else {
                        shares.push(mask);
                        return;
                    };
                    let labels = labels.slab(slices).into_iter();
                    let weighted = labels.zip(mask).map(|(label, &m)| m * weight(label));
                    shares.push(&weighted.collect::<Vec<f32>>());
                })?;
                shares.finish()
            }
        };
        if shares.is_empty() {
            return Err(PipelineError::EmptySupport {
                path: self.subject(),
                support: support.name(),
            });
        }
        Ok(shares)
    }

    /// What the optimiser sees; `classes` are the dataset's label values in order.
    pub fn training_volume(
        &self,
        image: Vec<f32>,
        support: Vec<f32>,
        classes: &[u16],
    ) -> TrainingVolume {
        let shape = self.volume.shape();
        let labels = match &self.labels {
            None => vec![0; shape.iter().product()],
            Some(labels) => labels
                .values()
                // Every value was seen by the scan; -1 would be reported by the optimiser.
                .map(|label| {
                    classes
                        .binary_search(&label)
                        .map_or(-1, |class| class as i32)
                })
                .collect(),
        };
        TrainingVolume {
            image,
            labels,
            support,
            channels: self.volume.channels(),
            shape,
        }
    }

    /// The file to name in messages about the labels, or the image where there are none.
    fn subject(&self) -> PathBuf {
        match &self.labels {
            Some(labels) => labels.path().to_path_buf(),
            None => self.volume.path().to_path_buf(),
        }
    }
}

struct NormalisedCase<'a> {
    prepared: &'a PreparedCase,
    ranges: &'a [IntensityRange],
}

impl CaseSlices for NormalisedCase<'_> {
    fn shape(&self) -> [usize; 3] {
        self.prepared.volume.shape()
    }

    fn channels(&self) -> usize {
        self.prepared.volume.channels()
    }

    fn labels(&self, slices: Range<usize>) -> Vec<u16> {
        self.prepared.label_slab(slices)
    }

    fn image(&self, slices: Range<usize>) -> Vec<f32> {
        self.prepared.normalised_slab(self.ranges, slices)
    }
}

/// The seed of a case's own draws, which do not depend on the other cases: the run's seed and FNV-1a of the id.
pub(super) fn case_seed(seed: u64, id: &str) -> u64 {
    let stream = id.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    seed.wrapping_add(stream)
}
