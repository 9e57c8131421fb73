use super::{Make, Needs, PerturbationMethod, emn};
use crate::{Expectation, Inner, Recipe, Scale, Transforms};

/// Robust error-minimising noise: `min_delta E_t max_rho DiceCE(F(t(x + delta) + rho), t(y))`, `|rho| <= epsilon / 2`, with a
/// surrogate that is trained against the same adversary.
///
/// The source has 10 steps of epsilon / 5 on delta, an adversary of 10 steps of a fifth of its radius, and 5 transforms a step:
/// crops and mirrorings in 2D. Here every axis is mirrored or not, and the windows' places, which are drawn anew at each visit, do
/// for the crops.
pub(super) const METHOD: PerturbationMethod = PerturbationMethod {
    name: "rem",
    title: "error-minimising noise that survives mirroring and an inner adversary",
    source: "REM, openreview.net/forum?id=baUQQPwQiAg",
    needs: Needs::Training,
    make: Make::Recipe(recipe),
};

fn recipe(scale: Scale) -> Recipe {
    Recipe {
        steps: scale.pick(10, 2),
        step_size: 0.2,
        expectation: Expectation {
            transforms: Transforms::mirror(),
            views: scale.pick(5, 2),
            inner: Inner::Adversary {
                radius: 0.5,
                steps: scale.pick(10, 2),
                step_size: scale.pick(0.1, 0.25),
            },
            weight_noise: None,
        },
        ..emn::recipe(scale)
    }
}
