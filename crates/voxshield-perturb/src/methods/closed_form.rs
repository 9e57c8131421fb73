use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use super::{Code, ImageCode, METHODS, Make, PerturbationMethod};
use crate::{Budget, PerturbError};

/// What a closed form sees of a case.
#[derive(Debug, Clone, Copy)]
pub struct CodeInput<'a> {
    /// Label values `[depth, height, width]`, 0 is background.
    pub labels: &'a [u16],
    /// `[depth, height, width]`.
    pub shape: [usize; 3],
    /// Seed of the dataset: equal for all cases, so that a code can mean the same in all of them.
    pub seed: u64,
}

/// A method of the list that needs no training: a code in -1..=1 of labels and seed, and of the image for some, times epsilon.
///
/// In configurations and manifests it is its name.
#[derive(Clone, Copy)]
pub struct ClosedForm {
    name: &'static str,
    code: Form,
}

#[derive(Clone, Copy)]
enum Form {
    Labels(Code),
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
        let code = match method.make {
            Make::Code(code) => Form::Labels(code),
            Make::ImageCode(code) => Form::Image(code),
            _ => return None,
        };
        let name = method.name;
        Some(Self { name, code })
    }

    /// Its name in [`METHODS`].
    pub fn name(self) -> &'static str {
        self.name
    }

    /// The perturbation of `image` `[channel, depth, height, width]` in 0..=1, before support and clipping, in that shape. Forms
    /// that do not look at the image give the same for every channel.
    ///
    /// # Errors
    /// [`PerturbError::Config`] if labels or image do not have the shape of `input`.
    pub fn delta(
        self,
        input: &CodeInput<'_>,
        image: &[f32],
        budget: Budget,
    ) -> Result<Vec<f32>, PerturbError> {
        let voxels: usize = input.shape.iter().product();
        let wrong = |what, found: usize| PerturbError::Config {
            what,
            expected: format!("{voxels} values for {:?}, of each channel", input.shape),
            found: format!("{found} values"),
        };
        if input.labels.len() != voxels {
            return Err(wrong("labels", input.labels.len()));
        }
        if voxels == 0 || !image.len().is_multiple_of(voxels) {
            return Err(wrong("image", image.len()));
        }
        let epsilon = budget.epsilon() as f32;
        let mut delta: Vec<f32> = match self.code {
            Form::Labels(code) => code(input).repeat(image.len() / voxels),
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
