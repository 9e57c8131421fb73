use std::fmt::Debug;

use super::{Gamma, GaussianBlur, LabelledVolume, LowResolution, RandomAffine};
use crate::EvalError;

/// A transform of an image, and of its label where voxels move.
///
/// Intensities are normalised ones; a defence may leave 0..1. The shape stays.
pub trait Defence: Debug + Send + Sync {
    /// Its name in the registry, in kebab case.
    fn name(&self) -> &'static str;

    /// Transforms the volume in place. Equal seeds give equal results; a defence that draws nothing
    /// ignores the seed.
    fn apply(&self, volume: &mut LabelledVolume, seed: u64);
}

/// All defences, with their default strength.
pub fn defences() -> Vec<Box<dyn Defence>> {
    vec![
        Box::new(GaussianBlur::default()),
        Box::new(Gamma::default()),
        Box::new(LowResolution::default()),
        Box::new(RandomAffine::default()),
    ]
}

/// The names of all defences, in the order of [`defences`].
pub fn names() -> Vec<&'static str> {
    defences().iter().map(|defence| defence.name()).collect()
}

/// The defence of that name, with its default strength.
///
/// # Errors
/// [`EvalError::UnknownDefence`], which lists the known names.
pub fn find(name: &str) -> Result<Box<dyn Defence>, EvalError> {
    defences()
        .into_iter()
        .find(|defence| defence.name() == name)
        .ok_or_else(|| EvalError::UnknownDefence {
            name: name.into(),
            known: names(),
        })
}
