use burn::tensor::{Device, Tensor, TensorData};
use serde::{Deserialize, Serialize};
use voxshield_models::NoiseGenerator;

use crate::PerturbError;

/// How a large volume is cut for the generator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TileConfig {
    /// A volume whose every axis is at most this long goes through whole; longer axes are cut
    /// into tiles of this size `[depth, height, width]`.
    pub size: [usize; 3],
    /// How far neighbouring tiles overlap, in voxels.
    pub overlap: usize,
}

impl Default for TileConfig {
    fn default() -> Self {
        Self {
            size: [96; 3],
            overlap: 16,
        }
    }
}

/// The perturbation of a whole volume, `[channel, depth, height, width]`, before clipping to the
/// intensities and the support.
///
/// The volume is padded with zeros to the network's multiple. Where tiles overlap, each voxel
/// takes the tile whose border is farther away: a mean of two patterns would cancel what makes
/// the noise work. Tiles start at multiples of the network's stride, so that a pattern tied to
/// the stride keeps its phase across a seam.
///
/// # Errors
/// [`PerturbError::Extent`] if `image` does not have the length of its shape,
/// [`PerturbError::Config`] if the tiles do not fit their overlap, [`PerturbError::Model`] if the
/// network refuses a tile.
pub fn generate(
    generator: &NoiseGenerator,
    image: &[f32],
    channels: usize,
    shape: [usize; 3],
    tiles: TileConfig,
    device: &Device,
) -> Result<Vec<f32>, PerturbError> {
    let voxels: usize = shape.iter().product();
    if image.len() != voxels * channels {
        return Err(PerturbError::Extent {
            case: 0,
            what: "image",
            expected: voxels * channels,
            found: image.len(),
        });
    }
    let config = generator.config().unet;
    let multiple: usize = config.strides.iter().product();
    let axes: Vec<Vec<Span>> = (0..3)
        .map(|axis| spans(shape[axis], tiles.size[axis], tiles.overlap, multiple))
        .collect::<Result<_, _>>()?;
    let mut out = vec![0.0; image.len()];
    for z in &axes[0] {
        for y in &axes[1] {
            for x in &axes[2] {
                tile(
                    generator,
                    image,
                    &mut out,
                    channels,
                    shape,
                    [z, y, x],
                    device,
                )?;
            }
        }
    }
    Ok(out)
}

/// A tile on one axis: it covers `start .. start + length` and writes `from .. to`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span {
    start: usize,
    length: usize,
    from: usize,
    to: usize,
}

fn spans(
    n: usize,
    size: usize,
    overlap: usize,
    multiple: usize,
) -> Result<Vec<Span>, PerturbError> {
    if n <= size {
        // Twice the multiple at least: a single voxel at the deepest level cannot be normalised.
        let length = n.next_multiple_of(multiple).max(2 * multiple);
        return Ok(vec![Span {
            start: 0,
            length,
            from: 0,
            to: n,
        }]);
    }
    if !size.is_multiple_of(multiple) || overlap + 2 * multiple > size {
        return Err(PerturbError::Config {
            what: "tile size",
            expected: format!(
                "a multiple of {multiple}, at least {} for an overlap of {overlap}",
                overlap + 2 * multiple
            ),
            found: size.to_string(),
        });
    }
    let stride = (size - overlap) / multiple * multiple;
    let mut starts: Vec<usize> = (0..)
        .map(|i| i * stride)
        .take_while(|s| s + size < n)
        .collect();
    // The last tile ends at the volume's end, rounded up so that it starts on a multiple.
    starts.push((n - size).next_multiple_of(multiple));
    let seam = |left: usize, right: usize| usize::midpoint(left + size, right).min(n);
    Ok((0..starts.len())
        .map(|i| Span {
            start: starts[i],
            length: size,
            from: if i == 0 {
                0
            } else {
                seam(starts[i - 1], starts[i])
            },
            to: starts.get(i + 1).map_or(n, |&next| seam(starts[i], next)),
        })
        .collect())
}

fn tile(
    generator: &NoiseGenerator,
    image: &[f32],
    out: &mut [f32],
    channels: usize,
    shape: [usize; 3],
    spans: [&Span; 3],
    device: &Device,
) -> Result<(), PerturbError> {
    let lengths = spans.map(|s| s.length);
    let tile_voxels: usize = lengths.iter().product();
    let end = |axis: usize| (spans[axis].start + lengths[axis]).min(shape[axis]);
    let index = |c: usize, z: usize, y: usize| ((c * shape[0] + z) * shape[1] + y) * shape[2];
    let inner = |c: usize, z: usize, y: usize| {
        ((c * lengths[0] + z - spans[0].start) * lengths[1] + y - spans[1].start) * lengths[2]
    };
    let mut input = vec![0.0; tile_voxels * channels];
    let width = end(2) - spans[2].start;
    for c in 0..channels {
        for z in spans[0].start..end(0) {
            for y in spans[1].start..end(1) {
                let (from, to) = (index(c, z, y) + spans[2].start, inner(c, z, y));
                input[to..to + width].copy_from_slice(&image[from..from + width]);
            }
        }
    }
    let dims = [1, channels, lengths[0], lengths[1], lengths[2]];
    generator.check_input(&dims)?;
    let delta = generator.forward(Tensor::from_data(TensorData::new(input, dims), device));
    let delta: Vec<f32> = delta.into_data().iter::<f32>().collect();
    let (left, right) = (spans[2].from, spans[2].to);
    for c in 0..channels {
        for z in spans[0].from..spans[0].to {
            for y in spans[1].from..spans[1].to {
                let (to, from) = (
                    index(c, z, y) + left,
                    inner(c, z, y) + left - spans[2].start,
                );
                out[to..to + right - left].copy_from_slice(&delta[from..from + right - left]);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_cover_every_voxel_once_and_keep_the_phase() {
        for n in 1..300 {
            let spans = spans(n, 32, 8, 4).unwrap();
            let mut next = 0;
            for span in &spans {
                assert_eq!(span.from, next, "{n}");
                assert!(span.start <= span.from && span.to <= span.start + span.length);
                assert_eq!(span.start % 4, 0);
                assert_eq!(span.length % 4, 0);
                next = span.to;
            }
            assert_eq!(next, n);
        }
        assert!(spans(100, 30, 8, 4).is_err());
        assert!(spans(100, 32, 28, 4).is_err());
    }
}
