use burn::tensor::Device;
use voxshield_models::{Segmenter, SlidingWindow};

use crate::EvalError;

/// The segmentation of a whole volume, `[depth, height, width]` class indices.
///
/// `image` is `[channel, depth, height, width]`, preprocessed as the network's training patches;
/// `window` is usually [`SlidingWindow::new`] of the patch size of the training.
///
/// # Errors
/// [`EvalError::Model`] if the image does not fit its shape or the network refuses the window.
pub fn predict(
    network: &dyn Segmenter,
    image: &[f32],
    shape: [usize; 3],
    window: &SlidingWindow,
    device: &Device,
) -> Result<Vec<u16>, EvalError> {
    let logits = window.run(network, image, shape, device)?;
    let voxels = shape.iter().product();
    let classes: Vec<&[f32]> = logits.chunks(voxels).collect();
    let largest = |voxel: usize| {
        let higher = |best: usize, class: usize| match classes[class][voxel] > classes[best][voxel]
        {
            true => class,
            false => best,
        };
        (1..classes.len()).fold(0, higher) as u16
    };
    Ok((0..voxels).map(largest).collect())
}
