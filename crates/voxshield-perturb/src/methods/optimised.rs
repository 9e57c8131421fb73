//! The entries of what is neither a closed form nor sample-wise; the methods themselves are [`Bilevel`](crate::Bilevel),
//! [`SharedNoiseTraining`](crate::SharedNoiseTraining) and [`RandomNoise`](crate::RandomNoise).

use super::{Make, Needs, PerturbationMethod, Strength};
use crate::{GeneratorKind, SharedBy, Support};

pub(super) const VOXSHIELD: PerturbationMethod = PerturbationMethod {
    name: GeneratorKind::Voxshield.method(),
    title: "noise generator trained against a surrogate, with inter-slice divergence",
    source: "arXiv 2605.17345",
    needs: Needs::Training,
    strength: Some(Strength::measured(
        Support::Roi,
        [0.133, 0.714],
        [0.022, 0.264],
    )),
    make: Make::Bilevel(GeneratorKind::Voxshield),
};

pub(super) const EMN_UNIVERSAL: PerturbationMethod = PerturbationMethod {
    name: "emn-universal",
    title: "one error-minimising tile for all voxels of the dataset; a saved one protects later cases at once",
    source: "EMN, arXiv 2101.04898, with one noise for all",
    needs: Needs::Training,
    strength: Some(Strength::measured(
        Support::Roi,
        [0.164, 0.764],
        [0.012, 0.290],
    )),
    make: Make::Shared(SharedBy::Dataset),
};

pub(super) const EMN_CLASS: PerturbationMethod = PerturbationMethod {
    name: "emn-class",
    title: "an error-minimising tile for each label (support body or full); a saved one protects later cases at once",
    source: "EMN's class-wise noise, arXiv 2101.04898, on voxels",
    needs: Needs::Training,
    strength: Some(Strength::measured(
        Support::Full,
        [0.686, 0.416],
        [0.779, 0.490],
    )),
    make: Make::Shared(SharedBy::Label),
};

pub(super) const RANDOM: PerturbationMethod = PerturbationMethod {
    name: "random",
    title: "noise that learns nothing, drawn anew for each case: the control",
    source: "-",
    needs: Needs::Nothing,
    strength: Some(Strength::measured(
        Support::Roi,
        [0.618, 0.772],
        [0.332, 0.354],
    )),
    make: Make::Random,
};
