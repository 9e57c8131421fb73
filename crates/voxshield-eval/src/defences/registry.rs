use std::fmt::Debug;

use super::parameter::number;
use super::{
    LabelledVolume, bit_depth, gamma, gaussian_blur, histogram_match, in_plane_resolution, jpeg,
    low_resolution, median, median_depth, nl_means, periodic_mean, random_affine, random_inversion,
    skip_slices, slab_mean, total_variation,
};
use crate::EvalError;

/// A transform of an image, and of its label where voxels move.
///
/// Intensities are normalised ones; a defence may leave 0..1. The shape stays.
///
/// One of your own:
///
/// ```
/// use voxshield_eval::defences::{Defence, LabelledVolume};
///
/// /// Makes every second slice a copy of the one before it.
/// #[derive(Debug)]
/// struct Doubled;
///
/// impl Defence for Doubled {
///     fn name(&self) -> &'static str {
///         "doubled"
///     }
///
///     fn strength(&self) -> Option<f64> {
///         None
///     }
///
///     fn apply(&self, volume: &mut LabelledVolume, _seed: u64) {
///         let [_, height, width] = volume.grid();
///         for channel in volume.channels_mut() {
///             for slices in channel.chunks_exact_mut(2 * height * width) {
///                 let (first, second) = slices.split_at_mut(height * width);
///                 second.copy_from_slice(first);
///             }
///         }
///     }
/// }
///
/// let mut volume = LabelledVolume::new(vec![0.1, 0.2, 0.3], vec![0, 1, 0], [1, 3, 1, 1])?;
/// Doubled.apply(&mut volume, 0);
/// assert_eq!(volume.image(), [0.1, 0.1, 0.3]);
/// # Ok::<(), voxshield_eval::EvalError>(())
/// ```
pub trait Defence: Debug + Send + Sync {
    /// Its name in the registry, in kebab case.
    fn name(&self) -> &'static str;

    /// How strong it is, in the unit of [`DefenceEntry::parameter`]; `None` if there is no choice.
    fn strength(&self) -> Option<f64>;

    /// Transforms the volume in place. Equal seeds give equal results; a defence that draws nothing
    /// ignores the seed.
    fn apply(&self, volume: &mut LabelledVolume, seed: u64);

    /// Whether somebody who did this to the images that she trains on could do it to those that she uses the network on as well: it
    /// draws nothing, moves no voxel and asks for no label. Evaluations test such a victim both ways and take the better.
    fn at_test(&self) -> bool {
        true
    }

    /// The text that [`find`] makes this defence from: `name:strength`, or `name` without one.
    fn spec(&self) -> String {
        match self.strength() {
            Some(strength) => format!("{}:{strength}", self.name()),
            None => self.name().into(),
        }
    }
}

/// What the registry knows of a defence.
#[derive(Debug, Clone, Copy)]
pub struct DefenceEntry {
    /// Its name.
    pub name: &'static str,
    /// What the number after the colon means, for help texts; empty if there is none.
    pub parameter: &'static str,
    /// The strengths that the group `all` runs; empty if there is no choice.
    pub strengths: &'static [f64],
    /// Whether a few passes over the volume are enough, so that the group `cheap` has it.
    pub cheap: bool,
    pub(super) make: Make,
}

/// Makes a defence of a strength, or of the default one.
pub(super) type Make = fn(Option<f64>) -> Result<Box<dyn Defence>, EvalError>;

/// All defences.
pub const DEFENCES: &[DefenceEntry] = &[
    gaussian_blur::ENTRY,
    gamma::ENTRY,
    low_resolution::ENTRY,
    in_plane_resolution::ENTRY,
    random_affine::ENTRY,
    jpeg::ENTRY,
    bit_depth::ENTRY,
    median::ENTRY,
    median_depth::ENTRY,
    slab_mean::ENTRY,
    skip_slices::ENTRY,
    periodic_mean::ENTRY,
    histogram_match::ENTRY,
    random_inversion::ENTRY,
    total_variation::ENTRY,
    nl_means::ENTRY,
];

/// Names that [`resolve`] takes for several defences: `cheap`, every defence that is, with its
/// default strength; `all`, every defence with every strength of its entry.
pub const GROUPS: [&str; 2] = ["cheap", "all"];

/// The names of all defences, in the order of [`DEFENCES`].
pub fn names() -> Vec<&'static str> {
    DEFENCES.iter().map(|entry| entry.name).collect()
}

/// The defence of a specification: `name` (default strength) or `name:strength`, such as
/// `gaussian-blur:0.5`.
///
/// # Errors
/// [`EvalError::UnknownDefence`], which lists the known names; [`EvalError::Parameter`] for a
/// strength that is no number or out of range.
pub fn find(spec: &str) -> Result<Box<dyn Defence>, EvalError> {
    let (name, strength) = match spec.split_once(':') {
        Some((name, text)) => (name, Some(number(text)?)),
        None => (spec, None),
    };
    let entry = DEFENCES.iter().find(|entry| entry.name == name);
    let entry = entry.ok_or_else(|| EvalError::UnknownDefence {
        name: name.into(),
        known: names().into_iter().chain(GROUPS).collect(),
    })?;
    (entry.make)(strength)
}

/// The defences of specifications and [`GROUPS`], in the order asked for, each once.
///
/// # Errors
/// As [`find`], for the first specification that is wrong.
pub fn resolve(specs: &[impl AsRef<str>]) -> Result<Vec<Box<dyn Defence>>, EvalError> {
    let mut found: Vec<Box<dyn Defence>> = Vec::new();
    for spec in specs {
        let group: Vec<Box<dyn Defence>> = match spec.as_ref() {
            "cheap" => {
                let cheap = DEFENCES.iter().filter(|entry| entry.cheap);
                cheap.map(|entry| (entry.make)(None)).collect()
            }
            "all" => DEFENCES.iter().flat_map(every_strength).collect(),
            spec => find(spec).map(|defence| vec![defence]),
        }?;
        for defence in group {
            if found.iter().all(|known| known.spec() != defence.spec()) {
                found.push(defence);
            }
        }
    }
    Ok(found)
}

fn every_strength(entry: &DefenceEntry) -> Vec<Result<Box<dyn Defence>, EvalError>> {
    if entry.strengths.is_empty() {
        return vec![(entry.make)(None)];
    }
    let strengths = entry.strengths.iter();
    strengths.map(|&s| (entry.make)(Some(s))).collect()
}
