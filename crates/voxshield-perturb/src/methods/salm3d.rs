use super::{Make, Needs, PerturbationMethod, Strength, emn};
use crate::{Recipe, Scale, Sparsity, Support};

/// Sparsity-aware error-minimising noise: only the tenth of the support with the largest gradients changes.
///
/// The source is for classification in 2D and publishes neither code nor ratio; everything but its idea is ours: the quantile is that
/// of each case's support, and the choice is kept after two rounds. `changed_voxels` of the manifest is the support that was used.
pub(super) const METHOD: PerturbationMethod = PerturbationMethod {
    name: "salm3d",
    title: "error-minimising noise on the share of voxels with the largest gradients",
    source: "SALM, arXiv 2403.10573, in 3D; inferred",
    needs: Needs::Training,
    strength: Some(Strength::measured(
        Support::Roi,
        [0.867, 0.818],
        [0.845, 0.730],
    )),
    make: Make::Recipe(recipe),
};

fn recipe(scale: Scale) -> Recipe {
    Recipe {
        sparsity: Some(Sparsity {
            share: 0.1,
            rounds: 2,
        }),
        ..emn::recipe(scale)
    }
}
