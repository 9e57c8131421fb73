//! What a configuration says about each level, and the parameter count that follows from it.

use super::ResidualUnetConfig;
use crate::layers::{last_unit_parameters, residual_unit_parameters, up_conv_parameters};

impl ResidualUnetConfig {
    /// The number of weights and biases of the network, without creating it; saturating.
    pub fn parameter_count(&self) -> u64 {
        let above = self.levels().map(|level| {
            let encoder = self.unit_parameters([level.input, level.channels], level.stride);
            let decoder = self.decoder_parameters(level);
            encoder.saturating_add(decoder)
        });
        let bottom = match self.channels.as_slice() {
            [.., last, bottom] => self.unit_parameters([*last, *bottom], 1),
            _ => 0,
        };
        above.fold(bottom, u64::saturating_add)
    }

    /// The levels above the bottom, from the top.
    pub(super) fn levels(&self) -> impl DoubleEndedIterator<Item = Level> {
        let deepest = self
            .strides
            .len()
            .min(self.channels.len().saturating_sub(1));
        (0..deepest).map(move |index| Level {
            top: index == 0,
            input: parent(&self.channels, index).unwrap_or(self.in_channels),
            channels: self.channels[index],
            below: match index + 1 == deepest {
                true => self.channels[index + 1],
                false => self.channels[index],
            },
            output: parent(&self.channels, index).unwrap_or(self.out_channels),
            stride: self.strides[index],
        })
    }

    fn unit_parameters(&self, channels: [usize; 2], stride: usize) -> u64 {
        residual_unit_parameters(channels, stride, self.res_units, self.activation)
    }

    fn decoder_parameters(&self, level: Level) -> u64 {
        let plain = self.res_units == 0;
        let input = level.channels.saturating_add(level.below);
        let activation = (!(level.top && plain)).then_some(self.activation);
        let up = up_conv_parameters([input, level.output], activation);
        let refine = match (plain, level.top) {
            (true, _) => 0,
            (false, true) => last_unit_parameters(level.output),
            (false, false) => residual_unit_parameters([level.output; 2], 1, 1, self.activation),
        };
        up.saturating_add(refine)
    }
}

/// One level above the bottom: its encoder maps `input` to `channels`, its decoder takes these and
/// the `below` channels that come back from the level underneath to `output`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Level {
    pub(super) top: bool,
    pub(super) input: usize,
    pub(super) channels: usize,
    pub(super) below: usize,
    pub(super) output: usize,
    pub(super) stride: usize,
}

fn parent(channels: &[usize], index: usize) -> Option<usize> {
    index.checked_sub(1).map(|above| channels[above])
}
