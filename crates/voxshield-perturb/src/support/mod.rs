mod body;
mod contour;
mod keyed_random;
mod lines;
mod soft_roi;
mod texture;

use std::ops::Range;

use serde::{Deserialize, Serialize};

pub use self::soft_roi::{Peak, SoftRoi};
use crate::{
    ArraySlices, CaseSlices, PerturbError,
    slices::{parts, slices_at_once},
};

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
    /// Voxels near the boundary of the labelled ones, on both sides (UMed, arXiv 2403.14250).
    Contour {
        /// How near, in voxels along each axis; at least 1. UMed: 3.
        width: usize,
    },
    /// The share of the voxels at which the image changes most (the length of its gradient), where noise is least seen. The
    /// image decides for every method, trained or not: whoever checks the written files has the image, and no surrogate.
    TopK {
        /// 0 to 1, not 0.
        share: f64,
    },
    /// Each voxel with that probability, drawn for each case from the seed.
    KeyedRandom {
        /// 0 to 1, not 0.
        share: f64,
    },
}

impl Support {
    /// All of them, for lists; those with settings have their sources', and where there is none, an example.
    pub const ALL: [Self; 7] = [
        Self::Roi,
        Self::Body,
        Self::Full,
        Self::SoftRoi(SoftRoi::REFERENCE),
        Self::Contour { width: 3 },
        Self::TopK { share: 0.1 },
        Self::KeyedRandom { share: 0.5 },
    ];

    /// The name used on the command line and in manifests.
    pub fn name(self) -> &'static str {
        match self {
            Self::Roi => "roi",
            Self::Body => "body",
            Self::Full => "full",
            Self::SoftRoi(_) => "soft-roi",
            Self::Contour { .. } => "contour",
            Self::TopK { .. } => "top-k",
            Self::KeyedRandom { .. } => "keyed-random",
        }
    }

    /// The mask's value by label, for supports that nothing else decides.
    pub fn by_label(self) -> Option<fn(u16) -> f32> {
        match self {
            Self::Roi => Some(|label| weight(label > 0)),
            Self::Full => Some(|_| 1.0),
            _ => None,
        }
    }

    /// Checks the settings.
    ///
    /// # Errors
    /// [`PerturbError::Config`] naming the one that is out of range.
    pub fn validate(self) -> Result<(), PerturbError> {
        match self {
            Self::SoftRoi(soft) => soft.validate(),
            Self::Contour { width } if !(1..=1024).contains(&width) => Err(PerturbError::Config {
                what: "width of the contour",
                expected: "1 to 1024 voxels".into(),
                found: width.to_string(),
            }),
            Self::TopK { share } | Self::KeyedRandom { share }
                if !(share > 0.0 && share <= 1.0) =>
            {
                Err(PerturbError::Config {
                    what: "share of the support",
                    expected: "a number above 0 and at most 1".into(),
                    found: share.to_string(),
                })
            }
            _ => Ok(()),
        }
    }

    /// The mask of a case, `[depth, height, width]` = `shape`: the share of epsilon that each voxel may use,
    /// `|delta| <= epsilon * mask`. 0 or 1, and between for `soft-roi`; exactly 0 where nothing may change.
    ///
    /// - `image`: `[channel, depth, height, width]`, normalised to 0..1; only `body` and `top-k` read it
    /// - `labels`: `[depth, height, width]`; only `roi`, `soft-roi` and `contour` read it
    /// - `key`: the case's own seed; only `keyed-random` reads it
    ///
    /// # Errors
    /// [`PerturbError::Config`] if `labels` or `image` do not have that shape, or as [`Support::validate`].
    pub fn mask(
        self,
        image: &[f32],
        labels: &[u16],
        shape: [usize; 3],
        key: u64,
    ) -> Result<Vec<f32>, PerturbError> {
        let case = ArraySlices::new(image, labels, shape)?;
        let mut masks = Vec::with_capacity(labels.len());
        self.masks(&case, key, &mut |_, mask| masks.extend(mask))?;
        Ok(masks)
    }

    /// As [`Support::mask`], some slices at a time, in order: `each` gets a part of the mask with its slices. The same bits, in the
    /// memory of some slices: what is known of the whole (a threshold, the peak) is found before in a pass over all of them.
    ///
    /// # Errors
    /// [`PerturbError::Config`] as [`Support::validate`].
    pub fn masks(
        self,
        case: &dyn CaseSlices,
        key: u64,
        each: &mut dyn FnMut(Range<usize>, &[f32]),
    ) -> Result<(), PerturbError> {
        self.masks_of(case, key, slices_at_once(case.shape(), self.reach()), each)
    }

    /// How many voxels of a volume `[depth, height, width]` [`Support::masks`] reads at a time.
    pub fn voxels_at_once(self, shape: [usize; 3]) -> usize {
        let [depth, height, width] = shape;
        let reach = self.reach();
        let slices = slices_at_once(shape, reach).saturating_add(2 * reach);
        slices.min(depth) * height * width
    }

    /// How many slices further the mask of a slice looks.
    fn reach(self) -> usize {
        match self {
            Self::SoftRoi(soft) => soft.reach(),
            Self::Contour { width } => width,
            _ => 0,
        }
    }

    fn masks_of(
        self,
        case: &dyn CaseSlices,
        key: u64,
        at_once: usize,
        each: Each<'_>,
    ) -> Result<(), PerturbError> {
        self.validate()?;
        match self {
            Self::SoftRoi(soft) => soft.each(case, at_once, each),
            Self::Body => body::masks(case, at_once, each),
            Self::Contour { width } => contour::masks(case, width, at_once, each),
            Self::TopK { share } => texture::masks(case, share, at_once, each),
            Self::KeyedRandom { share } => {
                keyed_random::masks(case, share, key, at_once, each);
            }
            Self::Roi | Self::Full => {
                for slices in parts(case.shape()[0], at_once) {
                    let inside = |label| self == Self::Full || label > 0;
                    let labels = case.labels(slices.clone()).into_iter();
                    let mask: Vec<f32> = labels.map(|label| weight(inside(label))).collect();
                    each(slices, &mask);
                }
            }
        }
        Ok(())
    }
}

/// What gets a mask slices by slices.
type Each<'a> = &'a mut dyn FnMut(Range<usize>, &[f32]);

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
        let mask = |support: Support| support.mask(&image, &labels, [1, 2, 4], 0).unwrap();
        assert_eq!(mask(Support::Body), [0., 1., 1., 1., 0., 0., 0., 0.]);
        assert_eq!(mask(Support::Roi), [0., 0., 1., 0., 0., 1., 0., 0.]);
        assert_eq!(mask(Support::Full), [1.0; 8]);
        for support in Support::ALL {
            if let Some(share) = support.by_label() {
                assert_eq!(mask(support), labels.map(share), "{support:?}");
            }
        }
        let soft = mask(Support::SoftRoi(SoftRoi::REFERENCE));
        assert_eq!(soft.iter().copied().fold(0.0, f32::max), 1.0);
        assert!(soft.iter().all(|&w| w > 0.0));
    }

    #[test]
    fn arrays_of_another_shape_are_refused() {
        for support in Support::ALL {
            assert!(support.mask(&[0.0; 8], &[0; 7], [2; 3], 0).is_err());
            assert!(support.mask(&[0.0; 9], &[0; 8], [2; 3], 0).is_err());
        }
    }

    /// Whatever is read at a time, on shapes that are no multiple of it.
    #[test]
    fn slices_have_the_mask_that_they_have_in_the_volume() {
        let wide = SoftRoi {
            sigma: 0.8,
            ..SoftRoi::REFERENCE
        };
        let supports = Support::ALL.into_iter().chain([
            Support::SoftRoi(wide),
            Support::Contour { width: 1 },
            Support::TopK { share: 0.37 },
        ]);
        for support in supports {
            for (index, shape) in [[1, 5, 4], [23, 7, 6], [40, 3, 5]].into_iter().enumerate() {
                let voxels: usize = shape.iter().product();
                let image: Vec<f32> = (0..2 * voxels)
                    .map(|i| (i * (7 + index) % 19) as f32 / 18.0)
                    .collect();
                // A thin label, whose peak is below that of a thick one, and one far from it.
                for period in [2, 9, voxels] {
                    let labels: Vec<u16> = (0..voxels)
                        .map(|i| u16::from(i % period == 0 && !(20..120).contains(&i)))
                        .collect();
                    let case = ArraySlices::new(&image, &labels, shape).unwrap();
                    let of = |at_once| {
                        let (mut mask, mut next) = (Vec::new(), 0);
                        let each = &mut |slices: Range<usize>, part: &[f32]| {
                            assert_eq!(slices.start, next);
                            assert_eq!(part.len(), slices.len() * shape[1] * shape[2]);
                            next = slices.end;
                            mask.extend(part.iter().map(|share| share.to_bits()));
                        };
                        support.masks_of(&case, 3, at_once, each).unwrap();
                        assert_eq!(next, shape[0]);
                        mask
                    };
                    let whole = of(shape[0]);
                    for at_once in [1, 2, 5, 16] {
                        assert!(of(at_once) == whole, "{support:?} {shape:?} {at_once}");
                    }
                }
            }
        }
    }

    #[test]
    fn settings_out_of_range_are_refused_and_names_are_unique() {
        for bad in [
            Support::Contour { width: 0 },
            Support::TopK { share: 0.0 },
            Support::TopK { share: f64::NAN },
            Support::KeyedRandom { share: 1.5 },
        ] {
            assert!(bad.validate().is_err(), "{bad:?}");
        }
        let names: std::collections::BTreeSet<_> = Support::ALL.map(Support::name).into();
        assert_eq!(names.len(), Support::ALL.len());
    }
}
