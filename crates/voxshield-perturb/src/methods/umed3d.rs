use super::{Make, Needs, PerturbationMethod, Strength};
use crate::{BilevelConfig, GeneratorKind, Scale, Support};

/// UMed in 3D: [`ContourTexture`](crate::ContourTexture) trained in VoxShield's loop on DiceCE alone, without its divergences.
///
/// Of the source the abstract is known, and a 3D re-implementation by the authors of VoxShield, which shares one of them. It trains the
/// surrogate in every fifth step; here, as in VoxShield, a round's surrogate steps come before a pass over all cases. Its step sizes
/// are 1e-4 for both, which the preset `paper` has; decay and betas are VoxShield's. The step sizes of `compact` are VoxShield's too,
/// since 1e-4 hardly moves narrow networks in 20 rounds.
pub(super) const METHOD: PerturbationMethod = PerturbationMethod {
    name: GeneratorKind::Umed3d.method(),
    title: "a generator for the contour of the labelled region and one for its texture",
    source: "UMed, arXiv 2403.14250, in 3D; partly inferred",
    needs: Needs::Training,
    strength: Some(Strength::measured(
        Support::Roi,
        [0.009, 0.700],
        [0.004, 0.235],
    )),
    make: Make::Bilevel(GeneratorKind::Umed3d),
};

impl BilevelConfig {
    /// The settings of a method with a generator.
    pub fn of(generator: GeneratorKind, scale: Scale) -> Self {
        let voxshield = scale.pick(Self::paper(), Self::compact());
        match generator {
            GeneratorKind::Voxshield => voxshield,
            GeneratorKind::Umed3d => {
                let mut config = Self {
                    generator,
                    isc_weight: 0.0,
                    spd_weight: 0.0,
                    ..voxshield
                };
                if scale == Scale::Source {
                    (config.common.surrogate_rate, config.noise_rate) = (1e-4, 1e-4);
                }
                config
            }
        }
    }
}
