use std::path::PathBuf;

use ndarray::Array4;

use super::{LabelSource, PipelineError, ProtectOptions, pseudo_labels::pseudo_labels};
use crate::{
    data::{Case, DataError, Dataset, IntensityRange, LabelMap, Modality, Volume},
    perturb::TrainingVolume,
};

/// One case, read and checked: volumes on the canonical axes.
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
        let channels = self.volume.array().outer_iter().zip(ranges);
        channels
            .flat_map(|(channel, range)| {
                channel
                    .iter()
                    .map(|&v| range.normalise_value(v))
                    .collect::<Vec<_>>()
            })
            .collect()
    }

    /// Label values `[depth, height, width]` in C order; all 0 for an unlabelled case.
    pub fn label_values(&self) -> Vec<u16> {
        match &self.labels {
            Some(labels) => labels.array().iter().copied().collect(),
            None => vec![0; self.volume.shape().iter().product()],
        }
    }

    /// The share of epsilon that each voxel may use, `[depth, height, width]`: that of the run's support, times that of its label.
    /// `image` is normalised, `id` the case's.
    ///
    /// # Errors
    /// [`PipelineError::EmptySupport`] if no voxel may change, [`PipelineError::Perturb`] for settings out of range.
    pub fn support(
        &self,
        options: &ProtectOptions,
        id: &str,
        image: &[f32],
    ) -> Result<Vec<f32>, PipelineError> {
        let (support, labels) = (options.support, self.label_values());
        let key = case_seed(options.method.seed(), id);
        let mut mask = support.mask(image, &labels, self.volume.shape(), key)?;
        options.label_weights.apply(&mut mask, &labels);
        if mask.iter().any(|&share| share > 0.0) {
            Ok(mask)
        } else {
            Err(PipelineError::EmptySupport {
                path: self.subject(),
                support: support.name(),
            })
        }
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
                .array()
                .iter()
                // Every value was seen by the scan; -1 would be reported by the optimiser.
                .map(|label| {
                    classes
                        .binary_search(label)
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

    /// A mask as the data crate wants it, `[1, depth, height, width]`.
    ///
    /// # Errors
    /// [`PipelineError::Data`] if it is not one of this volume.
    pub(super) fn mask_array(&self, mask: Vec<f32>) -> Result<Array4<f32>, PipelineError> {
        let [d, h, w] = self.volume.shape();
        let found = vec![mask.len()];
        Array4::from_shape_vec((1, d, h, w), mask).map_err(|_| {
            DataError::Shape {
                what: "mask [depth, height, width]",
                expected: vec![d, h, w],
                found,
            }
            .into()
        })
    }

    /// The file to name in messages about the labels, or the image where there are none.
    fn subject(&self) -> PathBuf {
        match &self.labels {
            Some(labels) => labels.path().to_path_buf(),
            None => self.volume.path().to_path_buf(),
        }
    }
}

/// The seed of a case's own draws, which do not depend on the other cases: the run's seed and FNV-1a of the id.
pub(super) fn case_seed(seed: u64, id: &str) -> u64 {
    let stream = id.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    seed.wrapping_add(stream)
}
