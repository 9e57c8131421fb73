//! The entries of what is not a closed form; the methods themselves are [`Bilevel`](crate::Bilevel) and
//! [`RandomNoise`](crate::RandomNoise).

use super::{Make, Needs, PerturbationMethod};

pub(super) const VOXSHIELD: PerturbationMethod = PerturbationMethod {
    name: "voxshield",
    title: "noise generator trained against a surrogate, with inter-slice divergence",
    source: "arXiv 2605.17345",
    needs: Needs::Training,
    make: Make::Voxshield,
};

pub(super) const RANDOM: PerturbationMethod = PerturbationMethod {
    name: "random",
    title: "noise that learns nothing, drawn anew for each case: the control",
    source: "-",
    needs: Needs::Nothing,
    make: Make::Random,
};
