use super::{Make, Needs, PerturbationMethod, Strength};
use crate::{Expectation, Objective, Recipe, Scale, Schedule, Support};

/// Self-ensemble protection: the features of each label move to those of a wrong one, through checkpoints of one training run.
///
/// What differs from the source, of which a re-implementation by others was read:
/// - It is about images of one class each. Here a label of a patch takes the place of an image, and the mean of its logits that of the
///   penultimate features. This is inferred.
/// - It has 30 outer steps with 15 variance-reduced ones through one checkpoint at a time in each; the mean over all checkpoints, which
///   is taken here, has no variance to reduce. The steps are spread over the rounds.
/// - Its steps are epsilon / 2; a sign that changes would go from bound to bound with these, so that here they are epsilon / 8.
/// - Its budget is 2/255; here it is what the caller asks for.
/// - The checkpoints are those of the surrogate's own training here, at equal distances; there is no second training run.
pub(super) const METHOD: PerturbationMethod = PerturbationMethod {
    name: "sep",
    title: "each label's features moved to another's, through checkpoints of one training run",
    source: "SEP, arXiv 2211.12005",
    needs: Needs::Training,
    strength: Some(Strength::measured(
        Support::Roi,
        [0.848, 0.796],
        [0.575, 0.591],
    )),
    make: Make::Recipe(recipe),
};

fn recipe(scale: Scale) -> Recipe {
    Recipe {
        objective: Objective::FeatureDistance,
        schedule: Schedule::pretrained(scale, scale.pick(15, 4)),
        steps: scale.pick(3, 2),
        step_size: 0.125,
        expectation: Expectation::none(),
        sparsity: None,
    }
}
