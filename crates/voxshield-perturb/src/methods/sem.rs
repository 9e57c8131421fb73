use super::{Make, Needs, PerturbationMethod, Strength, emn};
use crate::{Expectation, Inner, Recipe, Scale, Support, Transforms};

/// Stable error-minimising noise: as `rem`, with uniform noise within epsilon / 2 in place of the inner adversary, which saves most
/// of the time.
///
/// The source's code was read for that replacement; the radius is `rem`'s, which is inferred. What is said of `rem` about transforms,
/// the surrogate's steps and where delta starts holds here too. The preset `compact` has 4 steps and 2 transforms.
pub(super) const METHOD: PerturbationMethod = PerturbationMethod {
    name: "sem",
    title: "error-minimising noise that survives mirroring and random noise",
    source: "SEM, arXiv 2311.13091",
    needs: Needs::Training,
    strength: Some(Strength::measured(
        Support::Roi,
        [0.824, 0.754],
        [0.820, 0.667],
    )),
    make: Make::Recipe(recipe),
};

fn recipe(scale: Scale) -> Recipe {
    Recipe {
        steps: scale.pick(10, 4),
        step_size: 0.2,
        expectation: Expectation {
            transforms: Transforms::mirror(),
            views: scale.pick(5, 2),
            inner: Inner::Uniform { radius: 0.5 },
            weight_noise: None,
        },
        ..emn::recipe(scale)
    }
}
