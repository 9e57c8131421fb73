use std::ops::Range;

use super::{SharedBy, SharedNoiseConfig};
use crate::PerturbError;
use crate::window::from_middle;

/// The most places that all tiles together may have: they are counted in `f32`.
const MAX_PLACES: usize = 1 << 24;

/// Tiles of noise, one for all voxels or one for each label, repeated over a volume and counted from its middle, so that cases padded or
/// cropped about their middle agree.
#[derive(Debug, Clone, PartialEq)]
pub struct SharedNoise {
    tile: [usize; 3],
    /// Label values with a tile each, in order; none where one tile is for all voxels.
    labels: Vec<u16>,
    channels: usize,
    /// `[channel, place]`, `place = (tile, depth, height, width)`, normalised units.
    values: Vec<f32>,
}

impl SharedNoise {
    /// Tiles of zeros for images of `channels` and a dataset with these label values (0 included), in order.
    ///
    /// # Errors
    /// [`PerturbError::Config`] if the tiles of all labels have more than 2^24 voxels.
    pub fn zeros(
        config: &SharedNoiseConfig,
        channels: usize,
        labels: &[u16],
    ) -> Result<Self, PerturbError> {
        let labels = match config.shared_by {
            SharedBy::Dataset => Vec::new(),
            SharedBy::Label => labels.to_vec(),
        };
        let places = labels.len().max(1) * config.tile.iter().product::<usize>();
        if places > MAX_PLACES {
            return Err(PerturbError::Config {
                what: "tiles",
                expected: format!("at most {MAX_PLACES} voxels for all labels together"),
                found: format!("{places}; make them smaller"),
            });
        }
        Ok(Self {
            tile: config.tile,
            values: vec![0.0; channels * places],
            labels,
            channels,
        })
    }

    /// The same tiles with other values, `[channel, place]`.
    ///
    /// # Errors
    /// [`PerturbError::Config`] for another number of values, or one that is not finite.
    pub fn with_values(self, values: Vec<f32>) -> Result<Self, PerturbError> {
        let finite = values.iter().all(|value| value.is_finite());
        if values.len() != self.values.len() || !finite {
            return Err(PerturbError::Config {
                what: "values of the shared noise",
                expected: format!("{} finite numbers", self.values.len()),
                found: format!("{} numbers, all finite: {finite}", values.len()),
            });
        }
        Ok(Self { values, ..self })
    }

    /// `[channel, place]`, normalised units.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// Channels of the images that it is for.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Voxels of all tiles.
    pub fn places(&self) -> usize {
        self.values.len() / self.channels.max(1)
    }

    /// The place of every voxel of a case, `[depth, height, width]` in C order; `None` for a label without a tile.
    ///
    /// # Errors
    /// [`PerturbError::Config`] if `labels` do not have that shape.
    pub fn place(
        &self,
        labels: &[u16],
        shape: [usize; 3],
    ) -> Result<Vec<Option<usize>>, PerturbError> {
        self.place_slices(labels, shape, 0..shape[0])
    }

    /// As [`SharedNoise::place`], of some slices of the case.
    fn place_slices(
        &self,
        labels: &[u16],
        shape: [usize; 3],
        slices: Range<usize>,
    ) -> Result<Vec<Option<usize>>, PerturbError> {
        let voxels = slices.len() * shape[1] * shape[2];
        if labels.len() != voxels || slices.end > shape[0] {
            return Err(PerturbError::Config {
                what: "labels",
                expected: format!("{voxels} values of slices {slices:?} of {shape:?}"),
                found: format!("{} values", labels.len()),
            });
        }
        let [depth, height, width] = self.tile;
        let along = |at: usize, axis: usize| {
            from_middle(at as i64, shape[axis]).rem_euclid(self.tile[axis] as i64) as usize
        };
        let tile_of = |label: u16| match self.labels.is_empty() {
            true => Some(0),
            false => self.labels.binary_search(&label).ok(),
        };
        let mut places = Vec::with_capacity(voxels);
        let mut labels = labels.iter();
        for z in slices {
            for y in 0..shape[1] {
                let row = along(z, 0) * height + along(y, 1);
                for x in 0..shape[2] {
                    let tile = labels.next().and_then(|&label| tile_of(label));
                    places.push(tile.map(|t| (t * depth * height + row) * width + along(x, 2)));
                }
            }
        }
        Ok(places)
    }

    /// The perturbation of a whole case before support and clipping, `[channel, depth, height, width]`; 0 at labels that no case had
    /// when it was optimised.
    ///
    /// # Errors
    /// As [`SharedNoise::place`].
    pub fn delta(&self, labels: &[u16], shape: [usize; 3]) -> Result<Vec<f32>, PerturbError> {
        self.delta_of_slices(labels, shape, 0..shape[0])
    }

    /// As [`SharedNoise::delta`], of some slices of the case: `labels` are theirs.
    ///
    /// # Errors
    /// As [`SharedNoise::place`].
    pub fn delta_of_slices(
        &self,
        labels: &[u16],
        shape: [usize; 3],
        slices: Range<usize>,
    ) -> Result<Vec<f32>, PerturbError> {
        let places = self.place_slices(labels, shape, slices)?;
        let size = self.places().max(1);
        Ok(self
            .values
            .chunks(size)
            .flat_map(|channel| {
                places
                    .iter()
                    .map(|place| place.map_or(0.0, |place| channel[place]))
            })
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SurrogateConfig;

    fn noise(shared_by: SharedBy) -> SharedNoise {
        let config = SharedNoiseConfig {
            tile: [2, 3, 4],
            ..SharedNoiseConfig::new(shared_by, SurrogateConfig::compact())
        };
        let noise = SharedNoise::zeros(&config, 2, &[0, 1, 5]).unwrap();
        let values = (0..noise.values().len()).map(|i| i as f32).collect();
        noise.with_values(values).unwrap()
    }

    #[test]
    fn tiles_repeat_from_the_middle_and_each_label_has_its_own() {
        let shape = [4, 6, 8];
        let labels: Vec<u16> = (0..192).map(|i| [0, 1, 5, 3][i % 4]).collect();
        let universal = noise(SharedBy::Dataset);
        assert_eq!((universal.places(), universal.values().len()), (24, 48));
        let delta = universal.delta(&labels, shape).unwrap();
        let at = |z: usize, y: usize, x: usize| delta[(z * 6 + y) * 8 + x];
        // The middle is the origin of the tiles.
        assert_eq!(at(2, 3, 4), 0.0);
        assert_eq!(
            (at(3, 4, 5), at(1, 2, 3)),
            (12.0 + 4.0 + 1.0, 12.0 + 8.0 + 3.0)
        );
        assert_eq!(at(0, 0, 0), at(2, 3, 4));
        assert_eq!(delta[192], 24.0 + delta[0]);

        let by_label = noise(SharedBy::Label);
        assert_eq!(by_label.places(), 72);
        let own = by_label.delta(&labels, shape).unwrap();
        for (i, label) in labels.iter().enumerate() {
            let expected = match label {
                0 => delta[i],
                1 => delta[i] + 24.0,
                5 => delta[i] + 48.0,
                _ => 0.0,
            };
            assert_eq!(own[i], expected, "{i} {label}");
        }
    }

    #[test]
    fn bad_values_and_tiles_are_refused() {
        let values = vec![0.0; 47];
        assert!(noise(SharedBy::Dataset).with_values(values).is_err());
        let values = vec![f32::NAN; 48];
        assert!(noise(SharedBy::Dataset).with_values(values).is_err());
        assert!(noise(SharedBy::Dataset).place(&[0; 5], [2; 3]).is_err());
        let config = SharedNoiseConfig {
            tile: [128; 3],
            ..SharedNoiseConfig::new(SharedBy::Label, SurrogateConfig::compact())
        };
        let labels: Vec<u16> = (0..9).collect();
        assert!(SharedNoise::zeros(&config, 1, &labels).is_err());
    }
}
