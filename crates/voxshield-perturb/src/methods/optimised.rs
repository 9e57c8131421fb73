//! The entries of what is not a closed form; the methods themselves are [`Bilevel`](crate::Bilevel) and
//! [`RandomNoise`](crate::RandomNoise).

use super::{Needs, PerturbationMethod};

pub(super) const VOXSHIELD: PerturbationMethod = PerturbationMethod {
    name: "voxshield",
    title: "noise generator trained against a surrogate, with inter-slice divergence",
    source: "arXiv 2605.17345",
    needs: Needs::Training,
    code: None,
};

pub(super) const EMN_UNIVERSAL: PerturbationMethod = PerturbationMethod {
    name: "emn-universal",
    title: "one error-minimising tile for all voxels of the dataset; a saved one protects later cases at once",
    source: "EMN, arXiv 2101.04898, with one noise for all",
    needs: Needs::Training,
    code: None,
};

pub(super) const EMN_CLASS: PerturbationMethod = PerturbationMethod {
    name: "emn-class",
    title: "an error-minimising tile for each label (support body or full); a saved one protects later cases at once",
    source: "EMN's class-wise noise, arXiv 2101.04898, on voxels",
    needs: Needs::Training,
    code: None,
};

pub(super) const RANDOM: PerturbationMethod = PerturbationMethod {
    name: "random",
    title: "noise that learns nothing, drawn anew for each case: the control",
    source: "-",
    needs: Needs::Nothing,
    code: None,
};
