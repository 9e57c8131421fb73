use super::{Make, Needs, PerturbationMethod};
use crate::{Expectation, Objective, Recipe, Scale, Schedule};

/// Self-ensemble protection: the features of each label move to those of a wrong one, through checkpoints of one training run.
///
/// The source takes variance-reduced steps through one checkpoint at a time; the mean over all of them, which is taken here, has no
/// variance to reduce. It has steps of epsilon / 2; a sign that changes would go from bound to bound with these, so that here they are
/// epsilon / 8.
pub(super) const METHOD: PerturbationMethod = PerturbationMethod {
    name: "sep",
    title: "each label's features moved to another's, through checkpoints of one training run",
    source: "SEP, arXiv 2211.12005",
    needs: Needs::Training,
    make: Make::Recipe(recipe),
};

fn recipe(scale: Scale) -> Recipe {
    Recipe {
        objective: Objective::FeatureDistance,
        schedule: Schedule::Pretrained {
            checkpoints: scale.pick(15, 4),
        },
        steps: scale.pick(3, 2),
        step_size: 0.125,
        expectation: Expectation::none(),
        sparsity: None,
    }
}
