use super::{Make, Needs, PerturbationMethod, Strength};
use crate::{Expectation, Objective, Recipe, Scale, Schedule, Support};

/// Error-minimising noise, sample-wise: `min_delta min_theta DiceCE(F(x + delta), y)`.
///
/// As the source: rounds of 10 surrogate steps and of 20 steps of epsilon / 10 on every case. It stops when the surrogate's training
/// error is below 1 %, which has no counterpart in segmentation: here the rounds are given.
pub(super) const METHOD: PerturbationMethod = PerturbationMethod {
    name: "emn",
    title: "error-minimising noise of each case: min-min descent against a surrogate",
    source: "EMN, arXiv 2101.04898",
    needs: Needs::Training,
    strength: Some(Strength::measured(
        Support::Roi,
        [0.842, 0.797],
        [0.556, 0.536],
    )),
    make: Make::Recipe(recipe),
};

pub(super) fn recipe(scale: Scale) -> Recipe {
    Recipe {
        objective: Objective::ErrorMinimising,
        schedule: Schedule::Alternating,
        steps: scale.pick(20, 4),
        step_size: 0.1,
        expectation: Expectation::none(),
        sparsity: None,
    }
}
