mod body;
mod lines;
mod soft_roi;

use serde::{Deserialize, Serialize};

pub use self::soft_roi::{Peak, SoftRoi};
use crate::PerturbError;

/// Where a perturbation may be non-zero, and how much of epsilon it may use there.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Support {
    /// Voxels with a label above 0, the paper's choice. Whoever finds the noise finds the label.
    #[default]
    Roi,
    /// Voxels of the body: intensity above Otsu's threshold, holes along each row filled.
    Body,
    /// Every voxel.
    Full,
    /// Voxels with a label above 0 and a margin in which the budget fades to nothing.
    SoftRoi(SoftRoi),
}

impl Support {
    /// All of them, for lists; those with settings have the reference's.
    pub const ALL: [Self; 4] = [
        Self::Roi,
        Self::Body,
        Self::Full,
        Self::SoftRoi(SoftRoi::REFERENCE),
    ];

    /// The name used on the command line and in manifests.
    pub fn name(self) -> &'static str {
        match self {
            Self::Roi => "roi",
            Self::Body => "body",
            Self::Full => "full",
            Self::SoftRoi(_) => "soft-roi",
        }
    }

    /// The mask of a case, `[depth, height, width]` = `shape`: the share of epsilon that each voxel may use,
    /// `|delta| <= epsilon * mask`. 0 or 1, and between for `soft-roi`; exactly 0 where nothing may change.
    ///
    /// - `image`: `[channel, depth, height, width]`, normalised to 0..1; only `body` reads it
    /// - `labels`: `[depth, height, width]`; only `roi` and `soft-roi` read it
    ///
    /// # Errors
    /// [`PerturbError::Config`] if `labels` or `image` do not have that shape, or as [`SoftRoi::validate`].
    pub fn mask(
        self,
        image: &[f32],
        labels: &[u16],
        shape: [usize; 3],
    ) -> Result<Vec<f32>, PerturbError> {
        let voxels: usize = shape.iter().product();
        for (what, found, fits) in [
            ("labels", labels.len(), labels.len() == voxels),
            (
                "image",
                image.len(),
                image.len().is_multiple_of(voxels.max(1)),
            ),
        ] {
            if !fits {
                return Err(PerturbError::Config {
                    what,
                    expected: format!("{voxels} values for each channel of {shape:?}"),
                    found: format!("{found} values"),
                });
            }
        }
        Ok(match self {
            Self::Roi => labels.iter().map(|&label| weight(label > 0)).collect(),
            Self::Full => vec![1.0; voxels],
            Self::Body => body::mask(image, voxels, shape[2])
                .into_iter()
                .map(weight)
                .collect(),
            Self::SoftRoi(soft) => soft.masks(labels, shape, Peak::Case)?,
        })
    }
}

fn weight(inside: bool) -> f32 {
    f32::from(u8::from(inside))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_by_name() {
        let image = [0.1, 0.8, 0.1, 0.9, 0.1, 0.1, 0.12, 0.1];
        let labels = [0, 0, 2, 0, 0, 1, 0, 0];
        let mask = |support: Support| support.mask(&image, &labels, [1, 2, 4]).unwrap();
        assert_eq!(mask(Support::Body), [0., 1., 1., 1., 0., 0., 0., 0.]);
        assert_eq!(mask(Support::Roi), [0., 0., 1., 0., 0., 1., 0., 0.]);
        assert_eq!(mask(Support::Full), [1.0; 8]);
        let soft = mask(Support::SoftRoi(SoftRoi::REFERENCE));
        assert_eq!(soft.iter().copied().fold(0.0, f32::max), 1.0);
        assert!(soft.iter().all(|&w| w > 0.0));
    }

    #[test]
    fn arrays_of_another_shape_are_refused() {
        for support in Support::ALL {
            assert!(support.mask(&[0.0; 8], &[0; 7], [2; 3]).is_err());
            assert!(support.mask(&[0.0; 9], &[0; 8], [2; 3]).is_err());
        }
    }
}
