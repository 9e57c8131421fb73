use super::{Make, Needs, PerturbationMethod, Strength, emn};
use crate::{Expectation, Recipe, Scale, Support, WeightNoise};

/// Error-minimising noise whose gradient, and the surrogate's, are means over Gaussian noise on the surrogate's weights: deviation
/// 0.05, 4 draws in a surrogate step and 8 in a step on the perturbation, as in the source.
///
/// The surrogate is trained through noisy copies, so that it must have no batch normalisation and no dropout: [`Pgd::new`](crate::Pgd::new)
/// refuses others. The source's certificate, a bound on what networks near the surrogate can learn, is not computed.
pub(super) const METHOD: PerturbationMethod = PerturbationMethod {
    name: "pue",
    title: "error-minimising noise for a neighbourhood of the surrogate's weights",
    source: "PUE, arXiv 2405.03316",
    needs: Needs::Training,
    strength: Some(Strength::measured(
        Support::Roi,
        [0.823, 0.744],
        [0.800, 0.539],
    )),
    make: Make::Recipe(recipe),
};

fn recipe(scale: Scale) -> Recipe {
    Recipe {
        steps: scale.pick(20, 2),
        expectation: Expectation {
            weight_noise: Some(WeightNoise {
                deviation: 0.05,
                surrogate_draws: 4,
                draws: 8,
            }),
            ..Expectation::none()
        },
        ..emn::recipe(scale)
    }
}
