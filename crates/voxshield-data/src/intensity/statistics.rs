//! Statistics of a dataset's foreground, for CT.

use serde::{Deserialize, Serialize};

use super::IntensityError;
use crate::error::DataError;
use crate::label::LabelMap;
use crate::volume::Volume;

/// Most voxels taken from one case.
const PER_CASE: usize = 100_000;
/// Most voxels kept: 64 MiB of f32, however many cases there are.
const KEPT: usize = 1 << 24;

/// Against a mean, or another size, of 1, the largest standard deviation of numbers that count as all the same: about the resolution
/// of f32.
const CONSTANT: f64 = 1e-7;

/// Intensities of a dataset's foreground (label > 0), in file units.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct CtStatistics {
    /// Mean after clipping to `p005..p995`.
    pub mean: f64,
    /// Population standard deviation after clipping to `p005..p995`.
    pub sd: f64,
    /// The 0.5 percentile.
    pub p005: f64,
    /// The 99.5 percentile.
    pub p995: f64,
    /// Mean without clipping, as nnU-Net's fingerprint and the reference implementation have it.
    pub unclipped_mean: f64,
    /// Population standard deviation without clipping.
    pub unclipped_sd: f64,
}

/// The foreground (label > 0) of one channel of a case, in file units and canonical order: all of it up to 100 000 voxels, beyond that
/// so many of it, evenly.
#[derive(Clone, Debug, PartialEq)]
pub struct Foreground {
    voxels: u64,
    sample: Vec<f32>,
}

impl Foreground {
    /// The voxels of `channel` that have a label.
    ///
    /// # Errors
    /// [`DataError::ChannelCount`] for a channel that is not there; [`DataError::Shape`] for labels of another shape.
    pub fn of(volume: &Volume, channel: usize, labels: &LabelMap) -> Result<Self, DataError> {
        if channel >= volume.channels() {
            return Err(DataError::ChannelCount {
                what: "channel index, below the number of channels",
                expected: volume.channels(),
                found: channel,
            });
        }
        let shape = volume.shape();
        if labels.shape() != shape {
            return Err(DataError::Shape {
                what: "labels [depth, height, width]",
                expected: shape.to_vec(),
                found: labels.shape().to_vec(),
            });
        }
        let values = volume.channel_values(channel).zip(labels.values());
        let foreground = values.filter_map(|(value, label)| (label > 0).then_some(value));
        Ok(Self::sampled(labels.foreground_count(), foreground))
    }

    /// Of `voxels` values.
    fn sampled(voxels: usize, values: impl Iterator<Item = f32>) -> Self {
        let take = voxels.min(PER_CASE);
        let mut places = (0..take)
            .map(|sample| even(sample, voxels, take))
            .peekable();
        let sample = values
            .enumerate()
            .filter_map(|(at, value)| places.next_if_eq(&at).map(|_| value));
        Self {
            voxels: voxels as u64,
            sample: sample.collect(),
        }
    }
}

/// The place of a sample among `voxels`, of which `take` are taken evenly.
fn even(sample: usize, voxels: usize, take: usize) -> usize {
    // u128: a count times 100 000 need not fit usize everywhere.
    (sample as u128 * voxels as u128 / take as u128) as usize
}

/// Gathers [`CtStatistics`] case by case in bounded memory, the same for the same cases in the same order.
#[derive(Clone, Debug)]
pub struct CtStatisticsBuilder {
    values: Vec<f32>,
    seen: u64,
    per_case: usize,
    kept: usize,
}

impl Default for CtStatisticsBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl CtStatisticsBuilder {
    /// Nothing gathered yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            values: Vec::new(),
            seen: 0,
            per_case: PER_CASE,
            kept: KEPT,
        }
    }

    /// Adds the foreground of one channel of a case, as [`CtStatisticsBuilder::add_foreground`] does.
    ///
    /// # Errors
    /// As [`Foreground::of`].
    pub fn add(
        &mut self,
        volume: &Volume,
        channel: usize,
        labels: &LabelMap,
    ) -> Result<(), DataError> {
        self.add_foreground(&Foreground::of(volume, channel, labels)?);
        Ok(())
    }

    /// Adds a foreground: all of it up to 100 000 voxels, beyond that every n-th in canonical order, evenly. When more than
    /// 16 777 216 voxels have come together, every second is dropped and later cases give half as many.
    pub fn add_foreground(&mut self, foreground: &Foreground) {
        self.seen += foreground.voxels;
        let sample = &foreground.sample;
        let take = sample.len().min(self.per_case);
        for place in (0..take).map(|at| even(at, sample.len(), take)) {
            self.values.extend(sample.get(place));
        }
        while self.values.len() > self.kept {
            let mut keep = false;
            self.values.retain(|_| {
                keep = !keep;
                keep
            });
            self.per_case = (self.per_case / 2).max(1);
        }
    }

    /// Foreground voxels seen so far, kept or not.
    #[must_use]
    pub fn seen(&self) -> u64 {
        self.seen
    }

    /// The statistics. Percentiles interpolate linearly between the sorted samples, as numpy's default.
    ///
    /// # Errors
    /// [`IntensityError::NoStatistics`] without foreground, or when all of it has one value.
    pub fn finish(mut self) -> Result<CtStatistics, DataError> {
        self.values.sort_unstable_by(f32::total_cmp);
        let none = |sd| IntensityError::NoStatistics {
            voxels: self.seen,
            sd,
        };
        let (unclipped_mean, unclipped_sd) =
            mean_and_sd(self.values.iter().copied()).ok_or_else(|| none(0.0))?;
        let p005 = percentile(&self.values, 0.5);
        let p995 = percentile(&self.values, 99.5);
        let clipped = self
            .values
            .iter()
            .map(|&value| f64::from(value).clamp(p005, p995));
        let (mean, sd) = mean_and_sd_f64(clipped).ok_or_else(|| none(0.0))?;
        if is_constant(sd, p005.abs().max(p995.abs())) {
            return Err(none(sd).into());
        }
        Ok(CtStatistics {
            mean,
            sd,
            p005,
            p995,
            unclipped_mean,
            unclipped_sd,
        })
    }
}

/// Whether numbers of this standard deviation and size differ by no more than rounding, whatever their unit.
pub(super) fn is_constant(sd: f64, size: f64) -> bool {
    sd <= CONSTANT * size.abs()
}

/// The 0.5 and 99.5 percentiles of an even sample of at most 100 000 values; `None` without values.
pub(super) fn middle(values: impl Iterator<Item = f32> + Clone) -> Option<(f64, f64)> {
    let mut sample = Foreground::sampled(values.clone().count(), values).sample;
    sample.sort_unstable_by(f32::total_cmp);
    let [low, high] = [0.5, 99.5].map(|percent| percentile(&sample, percent));
    (!sample.is_empty()).then_some((low, high))
}

/// Percentile of sorted values with linear interpolation; 0 for none.
fn percentile(sorted: &[f32], percent: f64) -> f64 {
    let place = percent / 100.0 * sorted.len().saturating_sub(1) as f64;
    let below = place.floor() as usize;
    let at = |index: usize| sorted.get(index).copied().map_or(0.0, f64::from);
    let low = at(below);
    let high = at((below + 1).min(sorted.len().saturating_sub(1)));
    low + (high - low) * place.fract()
}

/// Mean and population standard deviation in f64; `None` without values.
pub(super) fn mean_and_sd(values: impl Iterator<Item = f32> + Clone) -> Option<(f64, f64)> {
    mean_and_sd_f64(values.map(f64::from))
}

/// Two passes: the mean first, so that large offsets do not cancel.
fn mean_and_sd_f64(values: impl Iterator<Item = f64> + Clone) -> Option<(f64, f64)> {
    let (count, sum) = values
        .clone()
        .fold((0_u64, 0.0), |(count, sum), value| (count + 1, sum + value));
    if count == 0 {
        return None;
    }
    let mean = sum / count as f64;
    let squares: f64 = values.map(|value| (value - mean).powi(2)).sum();
    Some((mean, (squares / count as f64).sqrt()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn foreground(values: &[f32]) -> Foreground {
        Foreground::sampled(values.len(), values.iter().copied())
    }

    #[test]
    fn even_stride_over_large_cases() {
        let mut builder = CtStatisticsBuilder::new();
        let values: Vec<f32> = (0..250_000).map(|value| value as f32).collect();
        builder.add_foreground(&foreground(&values));
        assert_eq!(builder.values.len(), PER_CASE);
        assert_eq!(builder.seen(), 250_000);
        assert_eq!(&builder.values[..4], &[0.0, 2.0, 5.0, 7.0]);
        assert_eq!(builder.values.last(), Some(&249_997.0));
        let statistics = builder.finish().unwrap();
        assert!((statistics.unclipped_mean - 125_000.0).abs() < 2.0);
    }

    #[test]
    fn memory_is_bounded_and_the_sample_stays_even() {
        let mut builder = CtStatisticsBuilder {
            per_case: 100,
            kept: 1000,
            ..CtStatisticsBuilder::new()
        };
        let values: Vec<f32> = (0..400).map(|value| value as f32).collect();
        for _ in 0..100 {
            builder.add_foreground(&foreground(&values));
            assert!(builder.values.len() <= 1000);
        }
        assert_eq!(builder.seen(), 40_000);
        let statistics = builder.finish().unwrap();
        assert!((statistics.unclipped_mean - 199.5).abs() < 10.0);
        assert!((statistics.unclipped_sd - 115.5).abs() < 5.0);
    }

    #[test]
    fn percentiles_interpolate() {
        let values: Vec<f32> = (0..=10).map(|value| value as f32).collect();
        assert_eq!(percentile(&values, 0.0), 0.0);
        assert_eq!(percentile(&values, 25.0), 2.5);
        assert_eq!(percentile(&values, 100.0), 10.0);
        assert_eq!(percentile(&[4.0], 99.5), 4.0);
    }

    #[test]
    fn nothing_and_one_value_are_errors() {
        let empty = CtStatisticsBuilder::new().finish();
        assert!(matches!(
            empty,
            Err(DataError::Intensity(IntensityError::NoStatistics {
                voxels: 0,
                ..
            }))
        ));
        let mut builder = CtStatisticsBuilder::new();
        builder.add_foreground(&foreground(&[5.0; 50]));
        let constant = builder.finish();
        assert!(matches!(
            constant,
            Err(DataError::Intensity(IntensityError::NoStatistics {
                voxels: 50,
                ..
            }))
        ));
    }
}
