use std::{fmt, str::FromStr};

use serde_with::{DeserializeFromStr, SerializeDisplay};

use super::ParseError;
use crate::data::IntensityRange;

/// How intensities are brought to 0..1.
#[derive(Debug, Clone, Copy, PartialEq, Default, SerializeDisplay, DeserializeFromStr)]
pub enum NormalisationChoice {
    /// What the dataset says of a channel, else a guess per case: a minimum of at most -500 is CT.
    #[default]
    Auto,
    /// Every channel as MRI: mean -+ 5 sd over the voxels above 0 of each case.
    Mri,
    /// Every channel as CT: mean -+ 5 sd of the dataset's foreground within its 0.5/99.5 percentiles.
    Ct,
    /// A fixed window, in the file's (scaled) units.
    Window {
        /// Maps to 0.
        lo: f64,
        /// Maps to 1.
        hi: f64,
    },
}

impl NormalisationChoice {
    /// What the choices are, for help texts.
    pub const HELP: &'static str = "auto, mri, ct or window:LO,HI";
}

impl fmt::Display for NormalisationChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Mri => f.write_str("mri"),
            Self::Ct => f.write_str("ct"),
            Self::Window { lo, hi } => write!(f, "window:{lo},{hi}"),
        }
    }
}

impl FromStr for NormalisationChoice {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let hint = || {
            ParseError::new(format!(
                "'{text}': expected auto, mri, ct or window:LO,HI with LO < HI"
            ))
        };
        match text {
            "auto" => Ok(Self::Auto),
            "mri" => Ok(Self::Mri),
            "ct" => Ok(Self::Ct),
            _ => {
                let (lo, hi) = text
                    .strip_prefix("window:")
                    .and_then(|pair| pair.split_once(','))
                    .ok_or_else(hint)?;
                let number = |s: &str| s.trim().parse::<f64>().map_err(|_| hint());
                let (lo, hi) = (number(lo)?, number(hi)?);
                IntensityRange::new(lo, hi).map_err(|_| hint())?;
                Ok(Self::Window { lo, hi })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normalisation_parses_and_prints_back() {
        for text in ["auto", "mri", "ct", "window:-160,240"] {
            assert_eq!(
                text.parse::<NormalisationChoice>().unwrap().to_string(),
                text
            );
        }
        for text in ["window:3,3", "window:5,1", "window:1", "hu", "window:a,b"] {
            assert!(text.parse::<NormalisationChoice>().is_err(), "{text}");
        }
    }
}
