use super::{Make, Needs, PerturbationMethod, Strength, emn};
use crate::{Expectation, Inner, Recipe, Scale, Support, Transforms};

/// Robust error-minimising noise: `min_delta E_t max_rho DiceCE(F(t(x + delta) + rho), t(y))`, `|rho| <= epsilon / 2`, with a
/// surrogate that is trained against the same adversary.
///
/// The source's code was read. It has 10 steps of epsilon / 5 on delta, an adversary of 10 steps of a fifth of its radius, 5 transforms a
/// step, and 5000 steps of the surrogate; the preset `paper` has the first three of these. What differs:
/// - Its transforms are crops and mirrorings in 2D. Here every axis is mirrored or not, and the windows' places, which are drawn anew
///   at each visit, do for the crops.
/// - The surrogate's steps are those of VoxShield (rounds times steps a round), and each sees one transform. The share of the two is
///   inferred.
/// - Delta goes on from where the last visit left it, through the network of the round. Whether the source ends with deltas that are
///   made anew through the last network alone was not followed.
/// - The preset `compact` has 2 steps, 2 transforms and an adversary of 2 steps of a half of its radius: cheaper, and weaker.
pub(super) const METHOD: PerturbationMethod = PerturbationMethod {
    name: "rem",
    title: "error-minimising noise that survives mirroring and an inner adversary",
    source: "REM, openreview.net/forum?id=baUQQPwQiAg",
    needs: Needs::Training,
    strength: Some(Strength::measured(
        Support::Roi,
        [0.803, 0.639],
        [0.804, 0.455],
    )),
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
