use burn::tensor::{Device, Tensor, TensorData};
use voxshield_models::{NoiseGenerator, Segmenter};

use crate::{PerturbError, TileConfig, tiled};

/// The perturbation of a whole volume, `[channel, depth, height, width]` like `image`, before it is
/// clipped to the intensities and the support. See [`tiled`] for volumes larger than a tile.
///
/// # Errors
/// As [`tiled`]; [`PerturbError::Model`] if the network refuses a tile.
pub fn generate(
    generator: &NoiseGenerator,
    image: &[f32],
    channels: usize,
    shape: [usize; 3],
    tiles: TileConfig,
    device: &Device,
) -> Result<Vec<f32>, PerturbError> {
    tiled(
        image,
        (channels, channels),
        shape,
        generator.unet.size_multiple(),
        tiles,
        &mut |values, dims| generate_tile(generator, values, dims, device),
    )
}

/// The perturbation of one tile `[channel, depth, height, width]`, for [`TileRows`](crate::TileRows).
///
/// # Errors
/// [`PerturbError::Model`] if the network refuses it.
pub fn generate_tile(
    generator: &NoiseGenerator,
    values: &[f32],
    [c, d, h, w]: [usize; 4],
    device: &Device,
) -> Result<Vec<f32>, PerturbError> {
    let dims = [1, c, d, h, w];
    generator.check_input(&dims)?;
    let input = Tensor::from_data(TensorData::new(values.to_vec(), dims), device);
    Ok(generator.forward(input).into_data().iter::<f32>().collect())
}
