//! What a configuration says about each stage, and the parameter count that follows from it. All of
//! it takes for granted that the lists have the lengths that [`NnUnetConfig::validate`] asks for.

use super::block::block_parameters;
use super::conv::unit_parameters;
use super::{NnUnetConfig, NnUnetEncoder};
use crate::{ConvSpec, ConvTransposeSpec};

impl NnUnetConfig {
    /// The product of the strides along each axis, saturating.
    pub fn total_stride(&self) -> [usize; 3] {
        let product = |total: [usize; 3], stride: &[usize; 3]| {
            std::array::from_fn(|axis| usize::saturating_mul(total[axis], stride[axis]))
        };
        self.strides.iter().fold([1; 3], product)
    }

    /// The number of weights and biases of the network, without creating it; saturating.
    pub(super) fn parameter_count(&self) -> u64 {
        let encoder = (0..self.features.len()).map(|stage| self.encoder_parameters(stage));
        let decoder = (0..self.decoder_convs.len()).map(|stage| self.decoder_parameters(stage));
        let stem = self.stem().map_or(0, unit_parameters);
        encoder.chain(decoder).fold(stem, u64::saturating_add)
    }

    fn encoder_parameters(&self, stage: usize) -> u64 {
        let specs = self.encoder_specs(stage);
        match self.encoder {
            NnUnetEncoder::Plain => specs.map(unit_parameters).fold(0, u64::saturating_add),
            NnUnetEncoder::Residual => specs.map(block_parameters).fold(0, u64::saturating_add),
        }
    }

    fn decoder_parameters(&self, stage: usize) -> u64 {
        let convs = self.decoder_specs(stage).map(unit_parameters);
        convs
            .fold(0, u64::saturating_add)
            .saturating_add(self.up_spec(stage).parameter_count())
            .saturating_add(self.head_spec(stage).parameter_count())
    }

    /// The convolution in front of a residual encoder.
    pub(super) fn stem(&self) -> Option<ConvSpec> {
        let channels = [self.in_channels, self.features[0]];
        (self.encoder == NnUnetEncoder::Residual)
            .then(|| ConvSpec::anisotropic(channels, self.kernels[0]))
    }

    /// The convolutions of a stage of the encoder, or the first ones of its residual blocks.
    pub(super) fn encoder_specs(&self, stage: usize) -> impl Iterator<Item = ConvSpec> + use<> {
        let output = self.features[stage];
        let input = match (stage, self.encoder) {
            (0, NnUnetEncoder::Plain) => self.in_channels,
            (0, NnUnetEncoder::Residual) => output,
            _ => self.features[stage - 1],
        };
        chain(
            self.blocks[stage],
            [input, output],
            self.kernels[stage],
            self.strides[stage],
        )
    }

    /// The convolutions of a stage of the decoder, 0 being the deepest.
    pub(super) fn decoder_specs(&self, stage: usize) -> impl Iterator<Item = ConvSpec> + use<> {
        let level = self.level(stage);
        let output = self.features[level];
        let channels = [output.saturating_mul(2), output];
        chain(
            self.decoder_convs[stage],
            channels,
            self.kernels[level],
            [1; 3],
        )
    }

    /// The transposed convolution in front of them.
    pub(super) fn up_spec(&self, stage: usize) -> ConvTransposeSpec {
        let level = self.level(stage);
        let channels = [self.features[level + 1], self.features[level]];
        ConvTransposeSpec::tiling(channels, self.strides[level + 1])
    }

    /// The head after them.
    pub(super) fn head_spec(&self, stage: usize) -> ConvSpec {
        ConvSpec::new([self.features[self.level(stage)], self.classes], 1)
    }

    /// The stage of the encoder beside a stage of the decoder.
    fn level(&self, stage: usize) -> usize {
        self.decoder_convs.len() - 1 - stage
    }
}

/// `count` convolutions; the first one has the change of channels and the stride.
fn chain(
    count: usize,
    [input, output]: [usize; 2],
    kernel: [usize; 3],
    stride: [usize; 3],
) -> impl Iterator<Item = ConvSpec> {
    (0..count).map(move |index| match index {
        0 => ConvSpec::anisotropic([input, output], kernel).with_stride(stride),
        _ => ConvSpec::anisotropic([output; 2], kernel),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::networks::nnunet::{Topology, topology};
    use voxshield_testkit::device;

    fn planned() -> Topology {
        topology([20, 64, 64], [3.0, 1.0, 1.0]).expect("a network")
    }

    #[test]
    fn the_count_of_a_configuration_is_that_of_its_network() {
        for encoder in [NnUnetEncoder::Plain, NnUnetEncoder::Residual] {
            let config = NnUnetConfig::narrow(encoder, 2, 3, &planned());
            let network = config.init(0, &device()).expect("valid");
            let count = crate::parameter_count(&network) as u64;
            assert_eq!(count, config.parameter_count(), "{encoder:?}");
        }
    }

    /// `n_sizes.json` of the golden files.
    #[test]
    fn counts_are_those_of_nnunet() {
        for (encoder, size, expected) in [
            (NnUnetEncoder::Plain, 96, 16_548_076),
            (NnUnetEncoder::Plain, 128, 31_196_399),
            (NnUnetEncoder::Residual, 96, 62_810_412),
            (NnUnetEncoder::Residual, 128, 102_350_575),
        ] {
            let planned = topology([size; 3], [1.0; 3]).expect("a network");
            let config = NnUnetConfig::standard(encoder, 1, 3, &planned);
            assert_eq!(config.parameter_count(), expected, "{encoder:?} {size}");
        }
    }
}
