use std::{fmt, ops::Range};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use super::{Code, ImageCode, METHODS, Make, PerturbationMethod};
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
    Slices(Code),
    Whole(Code),
    Image(ImageCode),
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
            Make::Code(code) => Form::Slices(code),
            Make::WholeCode(code) => Form::Whole(code),
            Make::ImageCode(code) => Form::Image(code),
            _ => return None,
        };
        let name = method.name;
        Some(Self { name, form })
    }

    /// Its name in [`METHODS`].
    pub fn name(self) -> &'static str {
        self.name
    }

    /// Whether it depends on other slices, so that it needs all of them at once.
    pub fn needs_whole_volume(self) -> bool {
        !matches!(self.form, Form::Slices(_))
    }

    /// The perturbation of `image` `[channel, slices, height, width]` in 0..=1, before support and clipping, in that shape. Forms
    /// that do not look at the image give the same for every channel.
    ///
    /// # Errors
    /// [`PerturbError::Config`] if labels and image are not of the same whole slices of that shape, or not of all of them where
    /// the form [needs them](Self::needs_whole_volume).
    pub fn delta(
        self,
        input: &CodeInput<'_>,
        image: &[f32],
        budget: Budget,
    ) -> Result<Vec<f32>, PerturbError> {
        let [depth, height, width] = input.shape;
        let slices = input.slices();
        let voxels = slices.len() * height * width;
        let all = slices == (0..depth);
        let wrong = |what, found: usize| PerturbError::Config {
            what,
            expected: match self.needs_whole_volume() {
                true => format!("all values of {:?}", input.shape),
                false => format!("values of whole slices of {:?}", input.shape),
            },
            found: format!("{found} values from slice {}", input.first),
        };
        let labels = input.labels.len();
        if labels != voxels || slices.end > depth || self.needs_whole_volume() && !all {
            return Err(wrong("labels", labels));
        }
        if voxels == 0 || !image.len().is_multiple_of(voxels) {
            return Err(wrong("image", image.len()));
        }
        let epsilon = budget.epsilon() as f32;
        let mut delta: Vec<f32> = match self.form {
            Form::Slices(code) | Form::Whole(code) => code(input).repeat(image.len() / voxels),
            Form::Image(code) => image
                .chunks(voxels)
                .flat_map(|channel| code(input, channel, epsilon))
                .collect(),
        };
        for share in &mut delta {
            *share = share.clamp(-1.0, 1.0) * epsilon;
        }
        Ok(delta)
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
