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
mod contrast_inversion;
mod distance;
mod distance_rings;
mod emn;
mod keyed_codes;
mod label_fields;
mod label_lattices;
mod optimised;
mod pue;
mod rem;
mod salm3d;
mod sem;
mod sep;
mod squares;
mod strength;
mod symmetric_lattice;
mod tap;
mod umed3d;

use std::{fmt, ops::Range};

use self::closed_form::CodeInput;
pub use self::{
    closed_form::{ClosedForm, CodedCase},
    strength::{Strength, VictimDice},
};
use crate::{CaseSlices, GeneratorKind, PerturbError, Recipe, Scale, SharedBy, Support};

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
    /// What victims score that were trained on its files, if that was measured.
    pub strength: Option<Strength>,
    pub(crate) make: Make,
}

/// How a method makes its perturbations.
#[derive(Clone, Copy)]
pub(crate) enum Make {
    Bilevel(GeneratorKind),
    Random,
    Shared(SharedBy),
    Code(Code),
    /// A code that the seed decides; each channel has another, so that the difference of two does not show the image without it.
    KeyedCode(Code),
    /// A code that depends on labels of so many slices on both sides too.
    NearCode(Code, usize),
    /// A code that depends on more, the image included; for a case and epsilon.
    CaseCode(fn(&dyn CaseSlices, f32) -> Box<dyn CaseCode>),
    Recipe(MakeRecipe),
}

/// The recipe of a sample-wise method.
pub(crate) type MakeRecipe = fn(Scale) -> Recipe;

/// The configuration that a method is run by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum MethodKind {
    /// [`BilevelConfig`](crate::BilevelConfig) with this generator.
    Bilevel(GeneratorKind),
    /// [`SharedNoiseConfig`](crate::SharedNoiseConfig) with this choice.
    Shared(SharedBy),
    /// [`RandomNoise`](crate::RandomNoise).
    Random,
    /// [`ClosedForm`].
    ClosedForm,
    /// [`PgdConfig`](crate::PgdConfig).
    SampleWise,
}

/// How a closed form makes its code: `[slices, height, width]` in -1..=1.
pub(crate) type Code = fn(&CodeInput<'_>) -> Vec<f32>;

/// A code that was prepared by a look at all of a case.
pub(crate) trait CaseCode: Send {
    /// `[channel, slices, height, width]` in -1..=1, of one channel where it is the same in all. Cheapest in the order of the slices.
    fn code(&mut self, case: &dyn CaseSlices, slices: Range<usize>) -> Vec<f32>;
}

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
            Self::Nothing => "nothing; seconds",
            Self::Labels => "labels; seconds",
            Self::Training => "labels, a surrogate; minutes to hours",
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
    contrast_inversion::METHOD,
    distance_rings::METHOD,
    blocks::METHOD,
    autoregressive::METHOD,
    emn::METHOD,
    rem::METHOD,
    sem::METHOD,
    tap::METHOD,
    tap::UNTARGETED,
    sep::METHOD,
    pue::METHOD,
    salm3d::METHOD,
    umed3d::METHOD,
];

impl PerturbationMethod {
    /// The method of that name.
    pub fn find(name: &str) -> Option<&'static Self> {
        METHODS.iter().find(|method| method.name == name)
    }

    /// The support to use where the caller names none: the one that it was measured with, else the labels.
    pub fn default_support(&self) -> Support {
        self.strength
            .map_or(Support::Roi, |measured| measured.support)
    }

    /// What it is run by.
    pub fn kind(&self) -> MethodKind {
        match self.make {
            Make::Bilevel(generator) => MethodKind::Bilevel(generator),
            Make::Shared(by) => MethodKind::Shared(by),
            Make::Random => MethodKind::Random,
            Make::Code(_) | Make::KeyedCode(_) | Make::NearCode(..) | Make::CaseCode(_) => {
                MethodKind::ClosedForm
            }
            Make::Recipe(_) => MethodKind::SampleWise,
        }
    }
}

/// The recipe of the sample-wise method of that name.
pub(crate) fn sample_wise(name: &str) -> Result<MakeRecipe, PerturbError> {
    let known = || {
        METHODS.iter().filter_map(|method| match method.make {
            Make::Recipe(recipe) => Some((method.name, recipe)),
            _ => None,
        })
    };
    let found = known().find(|(known, _)| *known == name);
    found
        .map(|(_, recipe)| recipe)
        .ok_or_else(|| PerturbError::Config {
            what: "sample-wise method",
            expected: known().map(|(name, _)| name).collect::<Vec<_>>().join(", "),
            found: name.into(),
        })
}

impl fmt::Debug for PerturbationMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PerturbationMethod")
            .field(&self.name)
            .finish()
    }
}
