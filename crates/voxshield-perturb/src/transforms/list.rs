use std::{fmt, str::FromStr};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_with::{DeserializeFromStr, SerializeDisplay};

use super::{Family, View};
use crate::ParseError;

/// Which random changes the networks of an optimisation see, and how often: each family with its probability for a sample, in
/// the order in which they are applied. As text `none`, `light`, `strong`, or `NAME[:PROBABILITY],...`.
#[derive(Debug, Clone, PartialEq, Default, SerializeDisplay, DeserializeFromStr)]
pub struct Transforms(Vec<(Family, f64)>);

impl Transforms {
    /// None: patches as they are, the paper's setting.
    pub fn none() -> Self {
        Self::default()
    }

    /// Blur, low resolution, gamma and mirroring with the probabilities of nnU-Net's augmentation, where half of the channels of a fifth
    /// (a quarter) of the samples are blurred (have their resolution lowered).
    pub fn light() -> Self {
        Self(vec![
            (Family::Blur, 0.1),
            (Family::LowResolution, 0.125),
            (Family::Gamma, 0.3),
            (Family::Mirror, 1.0),
        ])
    }

    /// Everything, most of the time.
    pub fn strong() -> Self {
        Self(vec![
            (Family::Affine, 0.5),
            (Family::Blur, 0.5),
            (Family::LowResolution, 0.5),
            (Family::DepthMean, 0.3),
            (Family::Gamma, 0.5),
            (Family::Mirror, 1.0),
        ])
    }

    /// Every axis mirrored or not, with equal probability.
    pub fn mirror() -> Self {
        Self(vec![(Family::Mirror, 1.0)])
    }

    /// These families, each with its probability.
    ///
    /// # Errors
    /// [`ParseError`] naming the first probability that is not in 0..=1.
    pub fn new(families: Vec<(Family, f64)>) -> Result<Self, ParseError> {
        match families.iter().find(|(_, p)| !(0.0..=1.0).contains(p)) {
            Some((family, p)) => Err(ParseError::new(format!(
                "{}: expected a probability of 0 to 1, found {p}",
                family.name()
            ))),
            None => Ok(Self(families)),
        }
    }

    /// Whether patches are left as they are.
    pub fn is_none(&self) -> bool {
        self.0.is_empty()
    }

    /// The changes of `batch` samples, a function of `seed` and `step` alone.
    pub fn draw(&self, batch: usize, seed: u64, step: u64) -> View {
        if self.is_none() {
            return View::identity();
        }
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(step);
        let sample = |rng: &mut ChaCha8Rng| {
            let mut changes = Vec::new();
            for &(family, probability) in &self.0 {
                if rng.random::<f64>() < probability {
                    changes.push(family.draw(rng));
                }
            }
            changes
        };
        View::new((0..batch).map(|_| sample(&mut rng)).collect())
    }
}

impl fmt::Display for Transforms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_none() {
            return f.write_str("none");
        }
        for (index, (family, probability)) in self.0.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            write!(f, "{comma}{}:{probability}", family.name())?;
        }
        Ok(())
    }
}

impl FromStr for Transforms {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "none" => return Ok(Self::none()),
            "light" => return Ok(Self::light()),
            "strong" => return Ok(Self::strong()),
            _ => {}
        }
        let one = |item: &str| {
            let (name, probability) = match item.split_once(':') {
                Some((name, p)) => {
                    let no_number = |_| ParseError::new(format!("'{p}' is no number"));
                    (name, p.parse().map_err(no_number)?)
                }
                None => (item, 0.5),
            };
            let family = Family::ALL.into_iter().find(|f| f.name() == name.trim());
            family.map(|family| (family, probability)).ok_or_else(|| {
                let names = Family::ALL.map(Family::name).join(", ");
                ParseError::new(format!("'{item}': expected none, light, strong, or a list of NAME[:PROBABILITY] out of {names}"))
            })
        };
        Self::new(text.split(',').map(one).collect::<Result<_, _>>()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_parse_and_print_back() {
        for list in [
            Transforms::none(),
            Transforms::light(),
            Transforms::strong(),
        ] {
            assert_eq!(list.to_string().parse::<Transforms>().unwrap(), list);
        }
        let own: Transforms = "blur,mirror:1".parse().unwrap();
        assert_eq!(own.to_string(), "blur:0.5,mirror:1");
        for bad in ["", "blurr", "blur:2", "blur:-1", "blur:x", "light,blur"] {
            assert!(bad.parse::<Transforms>().is_err(), "{bad}");
        }
    }
}
