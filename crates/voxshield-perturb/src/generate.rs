use burn::tensor::{Device, Tensor, TensorData};

use crate::{Generator, PerturbError, TileConfig, tiled};

/// The perturbation of a whole volume, `[channel, depth, height, width]` like `image`, before it is
/// clipped to the intensities and the support. See [`tiled`] for volumes larger than a tile.
///
/// `labels` is `[depth, height, width]`, 0 for background; VoxShield's generator does not look at it. `tiles` are those of the
/// training, [`TileConfig::new`] of its patch: an axis that is shorter than the patch is padded with zeros, as the generator saw it
/// there. Padded otherwise, its noise is not what it was trained to be.
///
/// # Errors
/// As [`tiled`]; [`PerturbError::Model`] if the network refuses a tile, [`PerturbError::Extent`] if the labels are not those of the
/// volume.
pub fn generate(
    generator: &Generator,
    image: &[f32],
    labels: &[u16],
    channels: usize,
    shape: [usize; 3],
    tiles: TileConfig,
    device: &Device,
) -> Result<Vec<f32>, PerturbError> {
    let voxels: usize = shape.iter().product();
    if labels.len() != voxels {
        return Err(PerturbError::Extent {
            case: 0,
            what: "labels",
            expected: voxels,
            found: labels.len(),
        });
    }
    // Where there are labels travels as one more channel.
    let mut both = Vec::with_capacity(image.len() + voxels);
    both.extend_from_slice(image);
    both.extend(labels.iter().map(|&label| f32::from(u8::from(label > 0))));
    tiled(
        &both,
        (channels + 1, channels),
        shape,
        generator.size_multiple(),
        tiles,
        &mut |values, dims| generate_tile(generator, values, dims, device),
    )
}

/// The perturbation of one tile, for [`TileRows`](crate::TileRows); `values` is `[channel + 1, depth, height, width]`, in the last channel
/// 1 where there is a label and 0 elsewhere.
///
/// # Errors
/// [`PerturbError::Model`] if the network refuses it.
pub fn generate_tile(
    generator: &Generator,
    values: &[f32],
    [c, d, h, w]: [usize; 4],
    device: &Device,
) -> Result<Vec<f32>, PerturbError> {
    let channels = c.saturating_sub(1);
    generator.check_input(&[1, channels, d, h, w])?;
    let both = TensorData::new(values.to_vec(), [1, c, d, h, w]);
    let both = Tensor::<5>::from_data(both, device);
    let image = both.clone().narrow(1, 0, channels);
    let delta = generator.forward(image, both.narrow(1, channels, 1));
    Ok(delta.into_data().iter::<f32>().collect())
}
