//! What a scanner measured.

use serde::{Deserialize, Serialize};

use crate::volume::Volume;

/// Kind of intensities.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Modality {
    /// Magnetic resonance: arbitrary units, background near 0.
    Mri,
    /// Computed tomography: Hounsfield units, air at -1000.
    Ct,
}

impl Modality {
    /// A guess for layouts that do not say: CT when some voxel is at most -500, which in Hounsfield units is air or lung and
    /// in MR does not occur; MRI otherwise. A CT cropped to soft tissue, or stored with an offset of 1024, is taken for MRI: let the
    /// user overrule it.
    #[must_use]
    pub fn guess(volume: &Volume) -> Self {
        let mut guesses =
            (0..volume.channels()).map(|channel| Self::guess_channel(volume, channel));
        guesses
            .find(|guess| *guess == Self::Ct)
            .unwrap_or(Self::Mri)
    }

    /// As [`Modality::guess`], from one channel alone; MRI for a channel that is not there.
    #[must_use]
    pub fn guess_channel(volume: &Volume, channel: usize) -> Self {
        let mut values = volume.channel_values(channel);
        if values.any(|value| value <= -500.0) {
            Self::Ct
        } else {
            Self::Mri
        }
    }

    /// The modality that a channel name says, as in a `dataset.json`: `CT`, or one of the usual names of MR sequences.
    #[must_use]
    pub fn from_channel_name(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        let words: Vec<&str> = name
            .split(|letter: char| !letter.is_ascii_alphanumeric())
            .collect();
        const MRI: [&str; 18] = [
            "mri", "mr", "t1", "t1w", "t1c", "t1ce", "t1gd", "t1n", "t2", "t2w", "t2f", "flair",
            "adc", "dwi", "pd", "swi", "fgatir", "cine",
        ];
        if words.contains(&"ct") {
            Some(Self::Ct)
        } else if words.iter().any(|word| MRI.contains(word)) {
            Some(Self::Mri)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channel_names() {
        for (name, modality) in [
            ("CT", Some(Modality::Ct)),
            ("ct", Some(Modality::Ct)),
            ("MRI", Some(Modality::Mri)),
            ("T1gd", Some(Modality::Mri)),
            ("FLAIR", Some(Modality::Mri)),
            ("brain_T1w", Some(Modality::Mri)),
            ("PET", None),
            ("contrast", None),
            ("noNorm", None),
        ] {
            assert_eq!(Modality::from_channel_name(name), modality, "{name}");
        }
    }
}
