//! Every perturbation method, and the list of them.
//!
//! A method is one module here and one line in [`METHODS`]. The command line, the manifest and the tests over all methods
//! follow from the list.

mod alternating_slices;
mod autoregressive;
mod blocks;
mod boundary_contrast;
mod checkerboard;
mod closed_form;
mod distance;
mod distance_rings;
mod keyed_codes;
mod label_fields;
mod label_lattices;
mod optimised;
mod squares;
mod symmetric_lattice;

use std::fmt;

pub use self::closed_form::{ClosedForm, CodeInput};

/// An entry of [`METHODS`].
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct PerturbationMethod {
    /// The name by which users ask for it, in kebab case.
    pub name: &'static str,
    /// What it does, in one line.
    pub title: &'static str,
    /// Where it comes from.
    pub source: &'static str,
    /// What it needs.
    pub needs: Needs,
    pub(crate) code: Option<Code>,
}

/// How a closed form makes its code: `[depth, height, width]` in -1..=1.
pub(crate) type Code = fn(&CodeInput<'_>) -> Vec<f32>;

/// What a method asks for, beside the images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// Nothing: seconds on a CPU, and the label decides at most the support.
    Nothing,
    /// Labels, which decide the pattern; still seconds on a CPU.
    Labels,
    /// Labels and a surrogate network that is trained: minutes to hours.
    Training,
}

impl Needs {
    /// In words, for lists.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Labels => "labels",
            Self::Training => "labels, training",
        }
    }
}

/// Every method that can be asked for by name.
pub static METHODS: &[PerturbationMethod] = &[
    optimised::VOXSHIELD,
    optimised::EMN_UNIVERSAL,
    optimised::EMN_CLASS,
    optimised::RANDOM,
    alternating_slices::METHOD,
    checkerboard::METHOD,
    symmetric_lattice::METHOD,
    label_lattices::METHOD,
    label_fields::METHOD,
    keyed_codes::METHOD,
    boundary_contrast::METHOD,
    distance_rings::METHOD,
    blocks::METHOD,
    autoregressive::METHOD,
];

impl PerturbationMethod {
    /// The method of that name.
    pub fn find(name: &str) -> Option<&'static Self> {
        METHODS.iter().find(|method| method.name == name)
    }
}

impl fmt::Debug for PerturbationMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PerturbationMethod")
            .field(&self.name)
            .finish()
    }
}
