use std::{fmt, ops::Range};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use super::{CaseCode, Code, METHODS, Make, PerturbationMethod};
use crate::{Budget, CaseSlices, PerturbError, slices::widened};

/// What a code of labels and seed sees of a case: some of its slices.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CodeInput<'a> {
    /// Label values `[slices, height, width]`, 0 is background.
    pub(crate) labels: &'a [u16],
    /// The slice of the volume that `labels` begins with.
    pub(crate) first: usize,
    /// Of the volume, `[depth, height, width]`.
    pub(crate) shape: [usize; 3],
    /// Seed of the dataset, and of the channel for a keyed code: equal for all cases, so that a code can mean the same in all of them.
    pub(crate) seed: u64,
}

impl CodeInput<'_> {
    /// The slices of the volume that `labels` are of.
    pub(super) fn slices(&self) -> Range<usize> {
        let slice = (self.shape[1] * self.shape[2]).max(1);
        self.first..self.first + self.labels.len() / slice
    }
}

/// A method of the list that needs no training: a code in -1..=1 of labels and seed, and of the image for some, times epsilon.
///
/// In configurations and manifests it is its name.
#[derive(Clone, Copy)]
pub struct ClosedForm {
    name: &'static str,
    form: Form,
}

#[derive(Clone, Copy)]
enum Form {
    /// With so many slices on both sides.
    Near(Code, usize),
    /// Another one for each channel.
    Keyed(Code),
    Case(fn(&dyn CaseSlices, f32) -> Box<dyn CaseCode>),
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
        let form = match method.make {
            Make::Code(code) => Form::Near(code, 0),
            Make::KeyedCode(code) => Form::Keyed(code),
            Make::NearCode(code, reach) => Form::Near(code, reach),
            Make::CaseCode(prepare) => Form::Case(prepare),
            _ => return None,
        };
        let name = method.name;
        Some(Self { name, form })
    }

    /// Its name in [`METHODS`].
    pub fn name(self) -> &'static str {
        self.name
    }

    /// Whether the seed decides the code: who knows it, or guesses it, computes the noise again from the labels.
    pub fn is_keyed(self) -> bool {
        matches!(self.form, Form::Keyed(_))
    }

    /// Its perturbation of a case, before support and clipping. What depends on more than some slices is found now, in passes over
    /// all of them; the image is read by forms that look at it, and by no others.
    pub fn of_case(self, case: &dyn CaseSlices, seed: u64, budget: Budget) -> CodedCase {
        let epsilon = budget.epsilon() as f32;
        CodedCase {
            code: match self.form {
                Form::Near(code, reach) => Coded::Near(code, reach),
                Form::Keyed(code) => Coded::Keyed(code),
                Form::Case(prepare) => Coded::Case(prepare(case, epsilon)),
            },
            seed,
            epsilon,
        }
    }
}

/// A [`ClosedForm`] for one case.
pub struct CodedCase {
    code: Coded,
    seed: u64,
    epsilon: f32,
}

enum Coded {
    Near(Code, usize),
    Keyed(Code),
    Case(Box<dyn CaseCode>),
}

impl CodedCase {
    /// The perturbation of some slices, `[channel, slices, height, width]`: what it is in the whole volume. `case` is the one that this was made
    /// of; the image of other slices may have changed since. Cheapest in order, since some forms go over all slices before.
    ///
    /// # Errors
    /// [`PerturbError::Config`] for slices that the case does not have.
    pub fn delta(
        &mut self,
        case: &dyn CaseSlices,
        slices: Range<usize>,
    ) -> Result<Vec<f32>, PerturbError> {
        let [depth, height, width] = case.shape();
        if slices.end > depth || slices.is_empty() {
            return Err(PerturbError::Config {
                what: "slices",
                expected: format!("some of 0..{depth}"),
                found: format!("{slices:?}"),
            });
        }
        let voxels = slices.len() * height * width;
        let mut delta = match &mut self.code {
            Coded::Near(code, reach) => {
                let read = widened(&slices, *reach, depth);
                let mut delta = code(&CodeInput {
                    labels: &case.labels(read.clone()),
                    first: read.start,
                    shape: case.shape(),
                    seed: self.seed,
                });
                delta.drain(..(slices.start - read.start) * height * width);
                delta.truncate(voxels);
                delta
            }
            Coded::Keyed(code) => {
                let labels = case.labels(slices.clone());
                let of_channel = |channel| {
                    code(&CodeInput {
                        labels: &labels,
                        first: slices.start,
                        shape: case.shape(),
                        seed: channel_seed(self.seed, channel),
                    })
                };
                (0..case.channels()).flat_map(of_channel).collect()
            }
            Coded::Case(code) => code.code(case, slices),
        };
        for share in &mut delta {
            *share = share.clamp(-1.0, 1.0) * self.epsilon;
        }
        Ok(match delta.len() == voxels {
            true => delta.repeat(case.channels()),
            false => delta,
        })
    }
}

/// The dataset's own in the first channel, and far from it in the others.
fn channel_seed(seed: u64, channel: usize) -> u64 {
    seed.wrapping_add((channel as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15))
}

impl fmt::Debug for CodedCase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CodedCase").finish_non_exhaustive()
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
