use std::collections::BTreeSet;

use super::parameter::{made_whole, within};
use super::{Defence, DefenceEntry, LabelledVolume};
use crate::EvalError;

pub(super) const ENTRY: DefenceEntry = DefenceEntry {
    name: "periodic-mean",
    parameter: "period in voxels",
    strengths: &[2.0, 4.0, 8.0],
    cheap: true,
    make: |strength| made_whole(strength, PeriodicMean::new),
};

/// Takes away of each label what repeats with a period along all axes: `x - (m_{l,p} - m_l)`, with `m_l` the mean over the voxels of
/// label `l` of a channel, and `m_{l,p}` that over those of them at the same place `p` of the period. The label stays.
///
/// Lattices, tiles, and what a network with strides makes, are the same at equal places of a grid; anatomy is not. Neither key nor
/// manifest nor another case is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeriodicMean {
    period: usize,
}

impl PeriodicMean {
    /// The period along each axis. Default: 4.
    ///
    /// # Errors
    /// [`EvalError::Parameter`] if it is not 2 to 32.
    pub fn new(period: usize) -> Result<Self, EvalError> {
        let period = within("period of the mean", "2 to 32 voxels", 2..=32, period)?;
        Ok(Self { period })
    }
}

impl Default for PeriodicMean {
    fn default() -> Self {
        Self { period: 4 }
    }
}

impl Defence for PeriodicMean {
    fn name(&self) -> &'static str {
        ENTRY.name
    }

    fn strength(&self) -> Option<f64> {
        Some(self.period as f64)
    }

    /// Who has no label cannot do it.
    fn at_test(&self) -> bool {
        false
    }

    fn apply(&self, volume: &mut LabelledVolume, _seed: u64) {
        let ([_, height, width], period) = (volume.grid(), self.period);
        let (places, labels) = (period.pow(3), volume.label().to_vec());
        let known: Vec<u16> = BTreeSet::from_iter(labels.iter().copied())
            .into_iter()
            .collect();
        // The label of each voxel among those that occur, and its place in the period.
        let group = |voxel: usize| {
            let at = [
                voxel / (height * width),
                voxel / width % height,
                voxel % width,
            ];
            let place = |place, at| place * period + at % period;
            // Every label is known.
            let label = known.binary_search(&labels[voxel]).unwrap_or_default();
            label * places + at.into_iter().fold(0, place)
        };
        for channel in volume.channels_mut() {
            let mut sums = vec![(0.0f64, 0.0f64); known.len() * places];
            for (voxel, &x) in channel.iter().enumerate() {
                let (sum, count) = &mut sums[group(voxel)];
                *sum += f64::from(x);
                *count += 1.0;
            }
            let repeated: Vec<f32> = (sums.chunks(places))
                .flat_map(|label| {
                    let add = |a: (f64, f64), b: &(f64, f64)| (a.0 + b.0, a.1 + b.1);
                    let (sum, count) = label.iter().fold((0.0, 0.0), add);
                    label
                        .iter()
                        .map(move |own| (own.0 / own.1 - sum / count) as f32)
                })
                .collect();
            for (voxel, x) in channel.iter_mut().enumerate() {
                *x -= repeated[group(voxel)];
            }
        }
    }
}
