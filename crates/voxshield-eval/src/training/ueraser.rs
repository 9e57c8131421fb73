use burn::tensor::{Device, ElementConversion, Int, Tensor, TensorData};
use voxshield_perturb::{Batch, Patch};

use super::{StepContext, TrainingDefence, TrainingDefenceEntry};
use crate::defences::without_strength;
use crate::{EvalError, augment};

pub(super) const ENTRY: TrainingDefenceEntry = TrainingDefenceEntry {
    name: "ueraser",
    parameter: "",
    cheap: false,
    make: |strength| Ok(Box::new(without_strength(strength, UEraser::default)?)),
};

/// UEraser (T. Qin et al., arXiv 2303.15127): of several random augmentations of a sample, the step
/// learns from the one with the largest loss.
///
/// The augmentations are [`augment`]'s, without a margin about the patch; the victim's own come first if it has any. The choice is made
/// in the first part of the training; later there is one augmentation of each sample and nothing to choose.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct UEraser {
    candidates: usize,
    until: f64,
}

impl UEraser {
    /// `candidates` augmentations a sample, in the first `until` (0..=1) of the steps, one afterwards. Default: 5
    /// and 0.3, the authors' 60 of 200 epochs.
    ///
    /// # Errors
    /// [`EvalError::Parameter`] for no candidate or a share outside 0..=1.
    pub fn new(candidates: usize, until: f64) -> Result<Self, EvalError> {
        let refuse = |what, expected, found| {
            Err(EvalError::Parameter {
                what,
                expected,
                found,
            })
        };
        if candidates == 0 {
            return refuse("augmentations a sample", "at least 1", "0".into());
        }
        if !(0.0..=1.0).contains(&until) {
            return refuse("share of the steps", "0 to 1", until.to_string());
        }
        Ok(Self { candidates, until })
    }

    /// Of so many augmentations, at least one, that with the largest loss.
    fn hardest(
        candidates: usize,
        sample: &Patch,
        seed: u64,
        shape: [usize; 5],
        context: &StepContext<'_>,
    ) -> Result<Patch, EvalError> {
        let [_, channels, depth, height, width] = shape;
        let (grid, preprocessing) = ([depth, height, width], context.preprocessing);
        let candidate = |index: u64| {
            let seed = seed.wrapping_add(index);
            augment(sample, grid, [0; 3], preprocessing, seed)
        };
        if candidates == 1 {
            return candidate(0);
        }
        let network = context.network.valid();
        let mut best: Option<(f32, Patch)> = None;
        for index in 0..candidates as u64 {
            let patch = candidate(index)?;
            let batch = upload(
                &[&patch],
                [1, channels, depth, height, width],
                context.device,
            );
            let loss = network.training_loss(batch.image, batch.labels, context.criterion)?;
            let loss: f32 = loss.into_scalar::<f32>().elem();
            if best.as_ref().is_none_or(|(worst, _)| loss > *worst) {
                best = Some((loss, patch));
            }
        }
        Ok(best.map_or_else(|| sample.clone(), |(_, patch)| patch))
    }
}

impl Default for UEraser {
    fn default() -> Self {
        Self {
            candidates: 5,
            until: 0.3,
        }
    }
}

impl TrainingDefence for UEraser {
    fn name(&self) -> &'static str {
        ENTRY.name
    }

    fn batch(&self, batch: Batch, context: &StepContext<'_>) -> Result<Batch, EvalError> {
        let choosing = (context.step as f64) < self.until * context.steps as f64;
        let candidates = if choosing { self.candidates } else { 1 };
        let shape = batch.image.dims();
        let samples = download(&batch, shape);
        let mut chosen = Vec::with_capacity(samples.len());
        for (index, sample) in samples.iter().enumerate() {
            let seed = context.seed.wrapping_add((index as u64) << 32);
            chosen.push(Self::hardest(candidates, sample, seed, shape, context)?);
        }
        Ok(upload(
            &chosen.iter().collect::<Vec<_>>(),
            shape,
            context.device,
        ))
    }
}

/// The samples of a batch on the host.
fn download(batch: &Batch, [count, channels, depth, height, width]: [usize; 5]) -> Vec<Patch> {
    let voxels = depth * height * width;
    let host = |tensor: Tensor<5>| -> Vec<f32> { tensor.into_data().iter::<f32>().collect() };
    let (image, support) = (host(batch.image.clone()), host(batch.support.clone()));
    let labels: Vec<i32> = batch.labels.clone().into_data().iter::<i32>().collect();
    let part = |sample: usize, size: usize| sample * size..(sample + 1) * size;
    (0..count)
        .map(|sample| Patch {
            image: image[part(sample, channels * voxels)].to_vec(),
            labels: labels[part(sample, voxels)].to_vec(),
            support: support[part(sample, voxels)].to_vec(),
        })
        .collect()
}

fn upload(samples: &[&Patch], shape: [usize; 5], device: &Device) -> Batch {
    let [count, _, depth, height, width] = shape;
    let image: Vec<f32> = samples
        .iter()
        .flat_map(|p| p.image.iter().copied())
        .collect();
    let labels: Vec<i32> = samples
        .iter()
        .flat_map(|p| p.labels.iter().copied())
        .collect();
    let support: Vec<f32> = samples
        .iter()
        .flat_map(|p| p.support.iter().copied())
        .collect();
    Batch {
        image: Tensor::from_data(TensorData::new(image, shape), device),
        labels: Tensor::<4, Int>::from_data(
            TensorData::new(labels, [count, depth, height, width]),
            device,
        ),
        support: Tensor::from_data(
            TensorData::new(support, [count, 1, depth, height, width]),
            device,
        ),
    }
}
