use super::{Make, Needs, PerturbationMethod, Strength};
use crate::{Expectation, Objective, Recipe, Scale, Schedule, Support, Transforms};

/// Targeted adversarial perturbation: `min_delta E_t DiceCE(F(t(x + delta)), t(y'))` through a surrogate that was trained on the clean
/// cases before, with a wrong label `y'`.
///
/// The wrong label is ours: the next label inside a structure, and background exchanged with the structure about its border. The
/// source has `y + 1 mod C`, a network that was trained to its end (here 480 steps with the compact preset, 5,000 with `paper`), 250 steps and 8 restarts; here the steps are spread over the rounds, and there is one start.
pub(super) const METHOD: PerturbationMethod = PerturbationMethod {
    name: "tap",
    title: "adversarial perturbation towards a wrong label about the structures",
    source: "TAP, arXiv 2106.10807, with a target of our own",
    needs: Needs::Training,
    strength: Some(Strength::measured(
        Support::Roi,
        [0.859, 0.802],
        [0.814, 0.620],
    )),
    make: Make::Recipe(targeted),
};

/// The untargeted one: `max_delta DiceCE(F(x + delta), y)`, with steps of epsilon / 4.
pub(super) const UNTARGETED: PerturbationMethod = PerturbationMethod {
    name: "tap-untargeted",
    title: "adversarial perturbation away from the label",
    source: "TAP, arXiv 2106.10807, untargeted",
    needs: Needs::Training,
    strength: Some(Strength::measured(
        Support::Roi,
        [0.849, 0.793],
        [0.456, 0.571],
    )),
    make: Make::Recipe(untargeted),
};

fn targeted(scale: Scale) -> Recipe {
    Recipe {
        objective: Objective::Targeted,
        schedule: Schedule::pretrained(scale, 1),
        // With 100 rounds, about the 250 steps of the source.
        steps: scale.pick(3, 4),
        step_size: 0.125,
        expectation: Expectation {
            transforms: Transforms::mirror(),
            ..Expectation::none()
        },
        sparsity: None,
    }
}

fn untargeted(scale: Scale) -> Recipe {
    Recipe {
        objective: Objective::Untargeted,
        step_size: 0.25,
        expectation: Expectation::none(),
        ..targeted(scale)
    }
}
