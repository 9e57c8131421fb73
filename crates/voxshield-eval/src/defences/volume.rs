use crate::EvalError;
use crate::shape::{same_length, voxels};

/// An image and its label on one grid. The lengths always fit the shape.
#[derive(Debug, Clone, PartialEq)]
pub struct LabelledVolume {
    image: Vec<f32>,
    label: Vec<u16>,
    shape: [usize; 4],
}

impl LabelledVolume {
    /// `image` is `[channel, depth, height, width]` as `shape` says, `label` is
    /// `[depth, height, width]`.
    ///
    /// # Errors
    /// [`EvalError::Empty`] if a spatial axis has no voxel, [`EvalError::Length`] if an array does
    /// not fit the shape.
    pub fn new(image: Vec<f32>, label: Vec<u16>, shape: [usize; 4]) -> Result<Self, EvalError> {
        let [channels, depth, height, width] = shape;
        let voxels = voxels([depth, height, width])?;
        same_length("label", voxels, label.len())?;
        same_length("image", channels.saturating_mul(voxels), image.len())?;
        Ok(Self {
            image,
            label,
            shape,
        })
    }

    /// `[channel, depth, height, width]`.
    pub fn image(&self) -> &[f32] {
        &self.image
    }

    /// `[depth, height, width]`.
    pub fn label(&self) -> &[u16] {
        &self.label
    }

    /// `[channel, depth, height, width]`.
    pub fn shape(&self) -> [usize; 4] {
        self.shape
    }

    /// Image and label.
    pub fn into_parts(self) -> (Vec<f32>, Vec<u16>) {
        (self.image, self.label)
    }

    /// `[depth, height, width]`.
    pub fn grid(&self) -> [usize; 3] {
        let [_, depth, height, width] = self.shape;
        [depth, height, width]
    }

    /// One slice `[depth, height, width]` a channel, to be changed in place.
    pub fn channels_mut(&mut self) -> impl Iterator<Item = &mut [f32]> {
        self.image.chunks_exact_mut(self.label.len())
    }

    /// The label `[depth, height, width]`, to be changed in place where voxels move.
    pub fn label_mut(&mut self) -> &mut [u16] {
        &mut self.label
    }
}
