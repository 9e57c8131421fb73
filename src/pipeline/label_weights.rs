use std::{collections::BTreeMap, fmt, str::FromStr};

use serde_with::{DeserializeFromStr, SerializeDisplay};

use super::{ParseError, PipelineError};

/// The share of epsilon that voxels of a label may use, for owners who weigh labels ("protect the tumour, leave the ventricles"). Labels
/// that are not named, and the background, have 1. As text `LABEL=SHARE,...`.
#[derive(Debug, Clone, PartialEq, Default, SerializeDisplay, DeserializeFromStr)]
pub struct LabelWeights(BTreeMap<u16, f32>);

impl LabelWeights {
    /// These shares, each 0..1; 0 leaves the label's voxels as they are.
    ///
    /// # Errors
    /// [`ParseError`] naming the first that is not.
    pub fn new(shares: BTreeMap<u16, f32>) -> Result<Self, ParseError> {
        match shares
            .iter()
            .find(|(_, share)| !(0.0..=1.0).contains(*share))
        {
            Some((label, share)) => Err(ParseError::new(format!(
                "label {label}: expected a share of epsilon of 0 to 1, found {share}"
            ))),
            None => Ok(Self(shares)),
        }
    }

    /// Whether every label has the whole of epsilon.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The smallest share above 0 that a label has.
    pub(super) fn smallest(&self) -> f32 {
        let shares = self.0.values().copied();
        shares.filter(|&share| share > 0.0).fold(1.0, f32::min)
    }

    /// The share of epsilon of a label.
    pub(super) fn share(&self, label: u16) -> f32 {
        self.0.get(&label).copied().unwrap_or(1.0)
    }

    /// Checks that every label that is named exists; `known` are the dataset's, in order.
    ///
    /// # Errors
    /// [`PipelineError::UnknownLabel`] for the first that does not.
    pub(super) fn check(&self, known: &[u16]) -> Result<(), PipelineError> {
        match self.0.keys().find(|label| !known.contains(label)) {
            Some(&label) => Err(PipelineError::UnknownLabel {
                label,
                known: known.to_vec(),
            }),
            None => Ok(()),
        }
    }
}

impl fmt::Display for LabelWeights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (label, share)) in self.0.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            write!(f, "{comma}{label}={share}")?;
        }
        Ok(())
    }
}

impl FromStr for LabelWeights {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut shares = BTreeMap::new();
        for item in text.split(',').filter(|item| !item.trim().is_empty()) {
            let pair = item.split_once('=').and_then(|(label, share)| {
                Some((label.trim().parse().ok()?, share.trim().parse().ok()?))
            });
            let (label, share) = pair.ok_or_else(|| {
                ParseError::new(format!("'{item}': expected LABEL=SHARE, such as 2=0.25"))
            })?;
            if shares.insert(label, share).is_some() {
                return Err(ParseError::new(format!("label {label} is named twice")));
            }
        }
        Self::new(shares)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_parse_print_back_and_scale() {
        let weights: LabelWeights = "2=0.25, 1=0".parse().unwrap();
        assert_eq!(weights.to_string(), "1=0,2=0.25");
        assert_eq!(weights.to_string().parse(), Ok(weights.clone()));
        assert_eq!(
            [0, 1, 2, 3].map(|label| weights.share(label)),
            [1.0, 0.0, 0.25, 1.0]
        );
        assert_eq!(weights.smallest(), 0.25);
        assert!(weights.check(&[0, 1, 2]).is_ok() && weights.check(&[0, 1]).is_err());
        for bad in ["1", "1=2", "1=-1", "1=x", "x=1", "1=NaN", "1=0.5,1=0.2"] {
            assert!(bad.parse::<LabelWeights>().is_err(), "{bad}");
        }
    }
}
