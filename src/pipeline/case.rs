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
}

impl PreparedCase {
    /// Reads image and labels and checks that they belong together.
    ///
    /// # Errors
    /// [`PipelineError::Data`] with the path and the reason.
    pub fn open(dataset: &Dataset, case: &Case) -> Result<Self, PipelineError> {
        let volume = Volume::open(&dataset.absolute(&case.images))?;
        let mut warning = None;
        let labels = match &case.label {
            None => None,
            Some(path) => {
                let labels = LabelMap::open(&dataset.root.join(path))?;
                warning = labels.check_matches(&volume)?;
                Some(labels)
            }
        };
        Ok(Self {
            volume,
            labels,
            warning,
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
            volume,
            warning: None,
        })
    }

    /// The modality of each channel: what the dataset says, else a guess from the intensities.
    pub fn modalities(&self, dataset: &Dataset) -> Vec<Modality> {
        let guess = Modality::guess(&self.volume);
        (0..self.volume.channels())
            .map(|c| {
                dataset
                    .channels
                    .get(c)
                    .and_then(|c| c.modality)
                    .unwrap_or(guess)
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

    /// The share of epsilon that each voxel may use: that of the run's support, times that of its label. `id` is the case's.
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
        let shares = match (support.by_label(), &self.labels) {
            (Some(share), Some(labels)) => {
                labels.shares(|label| share(label) * weights.share(label))
            }
            _ => {
                let mut shares = SharesBuilder::new(self.volume.shape());
                let key = case_seed(options.method.seed(), id);
                support.masks(&self.slices(ranges), key, &mut |slices, mask| {
                    if weights.is_empty() {
                        shares.push(mask);
                        return;
                    }
                    let labels = self.label_slab(slices).into_iter();
                    let weighted = labels.zip(mask).map(|(label, &m)| m * weights.share(label));
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
