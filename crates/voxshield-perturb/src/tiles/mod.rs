mod span;

use std::ops::Range;

use serde::{Deserialize, Serialize};

use self::span::{Span, spans};
use crate::PerturbError;

/// How a large volume is cut for the generator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TileConfig {
    /// A volume whose every axis is at most this long goes through whole; longer axes are cut
    /// into tiles of this size `[depth, height, width]`.
    pub size: [usize; 3],
    /// How far neighbouring tiles overlap, in voxels.
    pub overlap: usize,
    /// What the generator was trained on, `[depth, height, width]`: a shorter axis is padded to it with zeros about its middle, as in the
    /// training. Not stored: it follows from the method.
    #[serde(skip)]
    pub patch: [usize; 3],
}

impl TileConfig {
    /// Tiles of 96 voxels that overlap by 16, for a generator that was trained on patches of this size `[depth, height, width]`:
    /// [`SurrogateConfig::patch`](crate::SurrogateConfig::patch) of its training. Zeros say that nothing was trained: then a short
    /// volume is mirrored.
    pub fn new(patch: [usize; 3]) -> Self {
        Self {
            size: [96; 3],
            overlap: 16,
            patch,
        }
    }
}

/// A map from a tile to its output.
///
/// It takes `[channels_in, depth, height, width]` values with that shape and returns
/// `[channels_out, depth, height, width]`.
pub type TileMap<'a> = dyn FnMut(&[f32], [usize; 4]) -> Result<Vec<f32>, PerturbError> + 'a;

/// Runs `map` over a whole volume `[channels.0, depth, height, width]`, in tiles where it is large,
/// and returns `[channels.1, depth, height, width]`.
///
/// The volume is padded to `multiple`, with its mirror image: a margin of zeros would shift what a network that normalises by the
/// whole tile makes of the rest. Where tiles overlap, each voxel takes the tile
/// whose border is farther away: a mean of two perturbations would cancel what makes them work.
/// Tiles start at multiples of `multiple`, so that a pattern tied to a network's stride keeps its
/// phase across a seam. These are counted so that the middle of the volume is at one of them: cases
/// of different sizes, padded or cropped about their middle to one size, then have the pattern at the
/// same place of the patch.
///
/// # Errors
/// [`PerturbError::Extent`] if `image` does not have the length of its shape,
/// [`PerturbError::Config`] if the tiles do not fit their overlap, and what `map` reports.
pub fn tiled(
    image: &[f32],
    channels: (usize, usize),
    shape: [usize; 3],
    multiple: [usize; 3],
    tiles: TileConfig,
    map: &mut TileMap<'_>,
) -> Result<Vec<f32>, PerturbError> {
    let voxels: usize = shape.iter().product();
    if image.len() != voxels * channels.0 {
        return Err(PerturbError::Extent {
            case: 0,
            what: "image",
            expected: voxels * channels.0,
            found: image.len(),
        });
    }
    let rows = TileRows::new(channels, shape, multiple, tiles)?;
    let slice = shape[1] * shape[2];
    let mut out = vec![0.0; voxels * channels.1];
    for row in 0..rows.len() {
        let (input, output) = (rows.input(row), rows.output(row));
        let part: Vec<f32> = (image.chunks(voxels.max(1)))
            .flat_map(|channel| &channel[input.start * slice..input.end * slice])
            .copied()
            .collect();
        let result = rows.run(row, &part, map)?;
        let size = (output.len() * slice).max(1);
        for (to, from) in out.chunks_mut(voxels.max(1)).zip(result.chunks(size)) {
            to[output.start * slice..output.end * slice].copy_from_slice(from);
        }
    }
    Ok(out)
}

/// A volume cut into tiles as [`tiled`] does it, to be gone through row by row along its depth: each needs only some slices of the volume.
#[derive(Debug, Clone)]
pub struct TileRows {
    channels: (usize, usize),
    shape: [usize; 3],
    axes: [Vec<Span>; 3],
}

impl TileRows {
    /// The rows of a volume of `shape` `[depth, height, width]`, in order; the other arguments are those of [`tiled`].
    ///
    /// # Errors
    /// [`PerturbError::Config`] if the tiles do not fit their overlap.
    pub fn new(
        channels: (usize, usize),
        shape: [usize; 3],
        multiple: [usize; 3],
        tiles: TileConfig,
    ) -> Result<Self, PerturbError> {
        let axis = |axis: usize| {
            let (n, patch) = (shape[axis], tiles.patch[axis]);
            match n < patch {
                true => Ok(vec![Span::in_patch(n, patch, multiple[axis])]),
                false => spans(n, tiles.size[axis], tiles.overlap, multiple[axis]),
            }
        };
        Ok(Self {
            channels,
            shape,
            axes: [axis(0)?, axis(1)?, axis(2)?],
        })
    }

    /// How many there are.
    #[expect(clippy::len_without_is_empty, reason = "there is always one")]
    pub fn len(&self) -> usize {
        self.axes[0].len()
    }

    /// The slices that a row needs; those of the next one may begin before these end.
    pub fn input(&self, row: usize) -> Range<usize> {
        self.axes[0][row].inside(self.shape[0])
    }

    /// The slices that a row gives; the next one goes on where these end.
    pub fn output(&self, row: usize) -> Range<usize> {
        self.axes[0][row].from..self.axes[0][row].to
    }

    /// Runs `map` over the tiles of a row: from `image` `[channels.0, slices, height, width]` of [`input`](Self::input) to
    /// `[channels.1, slices, height, width]` of [`output`](Self::output).
    ///
    /// # Errors
    /// [`PerturbError::Extent`] if `image` has another length, and what `map` reports.
    pub fn run(
        &self,
        row: usize,
        image: &[f32],
        map: &mut TileMap<'_>,
    ) -> Result<Vec<f32>, PerturbError> {
        let [_, height, width] = self.shape;
        let (input, output) = (self.input(row), self.output(row));
        let slab = [input.len(), height, width];
        let expected = self.channels.0 * slab.iter().product::<usize>();
        if image.len() != expected {
            return Err(PerturbError::Extent {
                case: 0,
                what: "image",
                expected,
                found: image.len(),
            });
        }
        let depth = self.axes[0][row];
        // The slab begins with the tile.
        let depth = Span { start: 0, ..depth };
        let given = [output.len(), height, width];
        let mut out = vec![0.0; self.channels.1 * given.iter().product::<usize>()];
        for &y in &self.axes[1] {
            for &x in &self.axes[2] {
                let tile = [depth, y, x];
                let lengths = tile.map(|span| span.length);
                let dims = [self.channels.0, lengths[0], lengths[1], lengths[2]];
                let result = map(&cut(image, self.channels.0, slab, tile), dims)?;
                let skip = output.start - input.start;
                paste(&result, skip, &mut out, self.channels.1, given, tile);
            }
        }
        Ok(out)
    }
}

/// The start of row `(c, z, y)` in an array of this shape.
fn row(shape: [usize; 3], c: usize, z: usize, y: usize) -> usize {
    ((c * shape[0] + z) * shape[1] + y) * shape[2]
}

fn cut(image: &[f32], channels: usize, shape: [usize; 3], tile: [Span; 3]) -> Vec<f32> {
    let lengths = tile.map(|span| span.length);
    let mut out = vec![0.0; channels * lengths.iter().product::<usize>()];
    let [depth, height, width] = [0, 1, 2].map(|axis| tile[axis].sources(shape[axis]));
    for c in 0..channels {
        for (z, from_z) in depth.clone().enumerate() {
            for (y, from_y) in height.clone().enumerate() {
                let (Some(from_z), Some(from_y)) = (from_z, from_y) else {
                    continue;
                };
                let (from, to) = (row(shape, c, from_z, from_y), row(lengths, c, z, y));
                for (value, from_x) in out[to..to + lengths[2]].iter_mut().zip(width.clone()) {
                    *value = from_x.map_or(0.0, |x| image[from + x]);
                }
            }
        }
    }
    out
}

/// `skip` are the slices of the volume in the tile before those that are written.
fn paste(
    tile_values: &[f32],
    skip: usize,
    out: &mut [f32],
    channels: usize,
    shape: [usize; 3],
    tile: [Span; 3],
) {
    let lengths = tile.map(|span| span.length);
    let [depth, height, across] = tile;
    let (left, width) = (across.from, across.to - across.from);
    for c in 0..channels {
        for z in 0..shape[0] {
            for y in height.from..height.to {
                let to = row(shape, c, z, y) + left;
                let from = row(lengths, c, depth.lead + skip + z, height.at(y)) + across.at(left);
                out[to..to + width].copy_from_slice(&tile_values[from..from + width]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_put_every_voxel_back_where_it_was() {
        let shape = [9, 40, 21];
        let image: Vec<f32> = (0..2 * 9 * 40 * 21).map(|i| i as f32).collect();
        let tiles = TileConfig {
            size: [8, 16, 16],
            overlap: 4,
            patch: [0; 3],
        };
        let mut calls = 0;
        let out = tiled(&image, (2, 2), shape, [2; 3], tiles, &mut |values, dims| {
            calls += 1;
            assert_eq!(values.len(), dims.iter().product::<usize>());
            Ok(values.iter().map(|v| v + 1.0).collect())
        })
        .unwrap();
        assert!(calls > 4);
        assert!(out.iter().zip(&image).all(|(a, b)| *a == b + 1.0));
    }

    /// Whatever a tile has beyond the volume.
    #[test]
    fn padding_is_what_the_generator_was_trained_with() {
        let volume: Vec<f32> = (1..=5).map(|v| v as f32).collect();
        let seen = |patch: usize| {
            let tiles = TileConfig::new([1, 1, patch]);
            let mut seen = Vec::new();
            let mut map = |tile: &[f32], _: [usize; 4]| {
                seen = tile.to_vec();
                Ok(tile.to_vec())
            };
            let found = tiled(&volume, (1, 1), [1, 1, 5], [1, 1, 4], tiles, &mut map);
            assert_eq!(found.unwrap(), volume);
            // Twice the multiple along the other axes, which have one voxel.
            seen[..8].to_vec()
        };
        assert_eq!(seen(0), [2., 1., 2., 3., 4., 5., 4., 3.]);
        assert_eq!(seen(8), [0., 1., 2., 3., 4., 5., 0., 0.]);
    }

    /// Also when they are cut into tiles.
    #[test]
    fn volumes_padded_about_their_middle_agree() {
        // What a network with strides of 4 could tell of a place.
        let grid = |shape: [usize; 3]| {
            let image = vec![0.0; shape.iter().product()];
            let tiles = TileConfig {
                size: [16; 3],
                overlap: 4,
                patch: [0; 3],
            };
            let mut map = |_: &[f32], [_, d, h, w]: [usize; 4]| {
                let place = |i: usize| [i / (h * w), i / w % h, i % w].map(|at| at % 4);
                Ok((0..d * h * w)
                    .map(place)
                    .map(|[z, y, x]| (z * 16 + y * 4 + x) as f32)
                    .collect())
            };
            tiled(&image, (1, 1), shape, [4; 3], tiles, &mut map).unwrap()
        };
        let patch = [24, 16, 32];
        let padded = grid(patch);
        for shape in [[24, 16, 32], [23, 15, 31], [9, 10, 11], [20, 13, 18]] {
            let start = [0, 1, 2].map(|axis| (patch[axis] - shape[axis]) / 2);
            for (index, &found) in grid(shape).iter().enumerate() {
                let [_, h, w] = shape;
                let at = [index / (h * w), index / w % h, index % w];
                let [z, y, x] = [0, 1, 2].map(|axis| at[axis] + start[axis]);
                assert_eq!(found, padded[row(patch, 0, z, y) + x], "{shape:?} {at:?}");
            }
        }
    }
}
