use burn::tensor::{Device, Tensor, TensorData};
use voxshield_models::Segmenter;
use voxshield_perturb::{PerturbError, TileConfig, tiled};

use crate::EvalError;

/// The segmentation of a whole volume, `[depth, height, width]` class indices, in tiles where the
/// volume is large.
///
/// `image` is `[channel, depth, height, width]`, preprocessed as the network's training patches.
///
/// # Errors
/// [`EvalError::Patches`] if the image does not fit its shape or the network refuses a tile.
pub fn predict(
    network: &dyn Segmenter,
    image: &[f32],
    shape: [usize; 3],
    tiles: TileConfig,
    device: &Device,
) -> Result<Vec<u16>, EvalError> {
    let mut map = |values: &[f32], [c, d, h, w]: [usize; 4]| -> Result<Vec<f32>, PerturbError> {
        let dims = [1, c, d, h, w];
        network.check_input(&dims)?;
        let input = Tensor::<5>::from_data(TensorData::new(values.to_vec(), dims), device);
        let classes = network.forward(input).argmax(1);
        Ok(classes.float().into_data().iter::<f32>().collect())
    };
    let channels = (network.in_channels(), 1);
    let classes = tiled(
        image,
        channels,
        shape,
        network.size_multiple(),
        tiles,
        &mut map,
    )?;
    Ok(classes.iter().map(|&class| class as u16).collect())
}
