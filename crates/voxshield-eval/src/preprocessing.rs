use serde::{Deserialize, Serialize};

/// How a victim brings files to its network.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Preprocessing {
    /// Each channel to mean 0 and standard deviation 1, on the stored grid.
    #[default]
    Plain,
    /// The published reference's: intensities to 0..1 as the protection has them, the whole volume
    /// resized to one grid, whole volumes as patches.
    Paper,
    /// nnU-Net's: crop to the non-zero box, resample to the dataset's median spacing, z-score (CT:
    /// clip to the foreground's percentiles, global mean and deviation), a third of the patches on
    /// foreground.
    #[serde(rename = "nnunet")]
    NnUnet,
}

impl Preprocessing {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Plain, Self::Paper, Self::NnUnet];

    /// The name in kebab case.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Paper => "paper",
            Self::NnUnet => "nnunet",
        }
    }

    /// What a z-score of 0 is in the victim's intensities, and how much one standard deviation is. For `paper`, mean and deviation
    /// are those of the voxels above 0 (CT: of the dataset's foreground), and the mean -+ 5 deviations are 0 and 1.
    pub fn unit(self) -> (f32, f32) {
        match self {
            Self::Plain | Self::NnUnet => (0.0, 1.0),
            Self::Paper => (0.5, 0.1),
        }
    }
}
