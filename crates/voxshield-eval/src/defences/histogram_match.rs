use super::parameter::without_strength;
use super::{Defence, DefenceEntry, LabelledVolume};

pub(super) const ENTRY: DefenceEntry = DefenceEntry {
    name: "histogram-match",
    parameter: "",
    strengths: &[],
    cheap: true,
    make: |strength| Ok(Box::new(without_strength(strength, || HistogramMatch)?)),
};

/// Matches the histogram of every channel to one that is the same for all cases, the uniform one:
/// `x` becomes the share of the channel's other voxels that are darker. The label stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HistogramMatch;

impl Defence for HistogramMatch {
    fn name(&self) -> &'static str {
        ENTRY.name
    }

    fn strength(&self) -> Option<f64> {
        None
    }

    fn apply(&self, volume: &mut LabelledVolume, _seed: u64) {
        for channel in volume.channels_mut() {
            let mut sorted = channel.to_vec();
            sorted.sort_unstable_by(f32::total_cmp);
            let others = (channel.len() - 1).max(1) as f64;
            for value in channel {
                let darker = sorted.partition_point(|other| *other < *value);
                *value = (darker as f64 / others) as f32;
            }
        }
    }
}
