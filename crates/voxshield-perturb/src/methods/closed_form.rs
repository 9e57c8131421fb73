use std::{fmt, ops::Range};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use super::{Code, METHODS, Make, PerturbationMethod};
use crate::{Budget, PerturbError};

/// What a closed form sees of a case: some of its slices, so that large volumes need not be in memory.
#[derive(Debug, Clone, Copy)]
pub struct CodeInput<'a> {
    /// Label values `[slices, height, width]`, 0 is background.
    pub labels: &'a [u16],
    /// The slice of the volume that `labels` begins with.
    pub first: usize,
    /// Of the volume, `[depth, height, width]`.
    pub shape: [usize; 3],
    /// Seed of the dataset: equal for all cases, so that a code can mean the same in all of them.
    pub seed: u64,
}

impl CodeInput<'_> {
    /// The slices of the volume that `labels` are of.
    pub(super) fn slices(&self) -> Range<usize> {
        let slice = (self.shape[1] * self.shape[2]).max(1);
        self.first..self.first + self.labels.len() / slice
    }
}

/// A method of the list that needs no training: a code in -1..=1 of labels and seed, times epsilon.
///
/// In configurations and manifests it is its name.
#[derive(Clone, Copy)]
pub struct ClosedForm {
    name: &'static str,
    code: Code,
    whole: bool,
}

impl ClosedForm {
    /// The closed form of that name.
    ///
    /// # Errors
    /// [`PerturbError::Config`], which lists the known names.
    pub fn find(name: &str) -> Result<Self, PerturbError> {
        Self::all()
            .find(|method| method.name == name)
            .ok_or_else(|| PerturbError::Config {
                what: "closed-form method",
                expected: Self::all().map(|m| m.name).collect::<Vec<_>>().join(", "),
                found: name.into(),
            })
    }

    /// All of them, in the order of [`METHODS`].
    pub fn all() -> impl Iterator<Item = Self> {
        METHODS.iter().filter_map(Self::of)
    }

    fn of(method: &PerturbationMethod) -> Option<Self> {
        match method.make {
            Make::Code(code) => Some(Self {
                name: method.name,
                code,
                whole: false,
            }),
            Make::WholeCode(code) => Some(Self {
                name: method.name,
                code,
                whole: true,
            }),
            _ => None,
        }
    }

    /// Its name in [`METHODS`].
    pub fn name(self) -> &'static str {
        self.name
    }

    /// Whether it depends on labels of other slices, so that it needs all of them at once.
    pub fn needs_whole_volume(self) -> bool {
        self.whole
    }

    /// The perturbation before support and clipping, `[channel, slices, height, width]`: the same for every channel.
    ///
    /// # Errors
    /// [`PerturbError::Config`] if `labels` are not whole slices of that shape, or not all of them where the form
    /// [needs them](Self::needs_whole_volume).
    pub fn delta(
        self,
        input: &CodeInput<'_>,
        budget: Budget,
        channels: usize,
    ) -> Result<Vec<f32>, PerturbError> {
        let [depth, height, width] = input.shape;
        let slices = input.slices();
        let whole_slices = input.labels.len() == slices.len() * height * width;
        let all = slices == (0..depth);
        if !whole_slices || slices.end > depth || self.whole && !all {
            return Err(PerturbError::Config {
                what: "labels",
                expected: match self.whole {
                    true => format!("all values of {:?}", input.shape),
                    false => format!("values of whole slices of {:?}", input.shape),
                },
                found: format!("{} values from slice {}", input.labels.len(), input.first),
            });
        }
        let epsilon = budget.epsilon() as f32;
        let one: Vec<f32> = (self.code)(input)
            .into_iter()
            .map(|share| share.clamp(-1.0, 1.0) * epsilon)
            .collect();
        Ok(one.repeat(channels))
    }
}

impl fmt::Debug for ClosedForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ClosedForm").field(&self.name).finish()
    }
}

impl PartialEq for ClosedForm {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Serialize for ClosedForm {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name)
    }
}

impl<'de> Deserialize<'de> for ClosedForm {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Self::find(&name).map_err(D::Error::custom)
    }
}
