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
    let multiple = generator.unet.size_multiple();
    let mut map = |values: &[f32], [c, d, h, w]: [usize; 4]| {
        let dims = [1, c, d, h, w];
        generator.check_input(&dims)?;
        let input = Tensor::from_data(TensorData::new(values.to_vec(), dims), device);
        Ok(generator.forward(input).into_data().iter::<f32>().collect())
    };
    tiled(
        image,
        (channels, channels),
        shape,
        multiple,
        tiles,
        &mut map,
    )
}
