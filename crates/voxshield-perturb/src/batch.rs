use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::{Patch, PatchSource, PerturbError, patch::check_extents};

/// Patches on a device.
#[derive(Debug, Clone)]
pub struct Batch {
    /// `[batch, channel, depth, height, width]`, 0..1.
    pub image: Tensor<5>,
    /// `[batch, depth, height, width]`.
    pub labels: Tensor<4, Int>,
    /// The share of epsilon that delta may use, `[batch, 1, depth, height, width]`, 0..1.
    pub support: Tensor<5>,
}

impl Batch {
    /// Reads one patch for every `(case, seed)` and uploads them.
    ///
    /// # Errors
    /// [`PerturbError::Source`] if a case cannot be read, [`PerturbError::Extent`] if it has another
    /// number of channels, [`PerturbError::Label`] if a label has no class.
    pub fn read(
        source: &mut dyn PatchSource,
        cases: &[(usize, u64)],
        shape: [usize; 3],
        channels: usize,
        classes: usize,
        device: &Device,
    ) -> Result<Self, PerturbError> {
        let patches = cases.iter().map(|&(case, seed)| {
            let patch = source.patch(case, shape, seed);
            let patch = patch.map_err(|source| PerturbError::Source { case, source })?;
            Ok((case, patch))
        });
        Self::collect(patches, shape, channels, classes, device)
    }

    /// 1 where there is a label, 0 elsewhere; `[batch, 1, depth, height, width]`.
    pub fn foreground(&self) -> Tensor<5> {
        self.labels.clone().greater_elem(0).float().unsqueeze_dim(1)
    }

    /// Checks the patches of these cases and uploads them.
    pub(crate) fn collect(
        patches: impl ExactSizeIterator<Item = Result<(usize, Patch), PerturbError>>,
        shape: [usize; 3],
        channels: usize,
        classes: usize,
        device: &Device,
    ) -> Result<Self, PerturbError> {
        let voxels: usize = shape.iter().product();
        let [depth, height, width] = shape;
        let batch = patches.len();
        let mut image = Vec::with_capacity(batch * channels * voxels);
        let mut labels = Vec::with_capacity(batch * voxels);
        let mut support = Vec::with_capacity(batch * voxels);
        for patch in patches {
            let (case, patch) = patch?;
            check(case, &patch, voxels, channels, classes)?;
            image.extend_from_slice(&patch.image);
            labels.extend_from_slice(&patch.labels);
            support.extend_from_slice(&patch.support);
        }
        Ok(Self {
            image: Tensor::from_data(
                TensorData::new(image, [batch, channels, depth, height, width]),
                device,
            ),
            labels: Tensor::from_data(
                TensorData::new(labels, [batch, depth, height, width]),
                device,
            ),
            support: Tensor::from_data(
                TensorData::new(support, [batch, 1, depth, height, width]),
                device,
            ),
        })
    }
}

fn check(
    case: usize,
    patch: &Patch,
    voxels: usize,
    channels: usize,
    classes: usize,
) -> Result<(), PerturbError> {
    let found = [patch.image.len(), patch.labels.len(), patch.support.len()];
    check_extents(case, found, voxels, channels)?;
    match patch
        .labels
        .iter()
        .find(|l| **l < 0 || **l >= classes as i32)
    {
        Some(&label) => Err(PerturbError::Label {
            case,
            label,
            last: classes - 1,
        }),
        None => Ok(()),
    }
}
