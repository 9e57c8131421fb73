use std::{fmt, ops::Range, str::FromStr};

use serde::{Deserialize, Serialize};

use super::{ParseError, PipelineError};
use crate::{
    data::{LabelMap, Volume, slabs},
    perturb::{CaseSlices, PerturbError, Support, order_statistic},
};

/// Where the labels that a perturbation is made for come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LabelSource {
    /// The dataset's label files; cases without one are left out.
    #[default]
    Files,
    /// Nothing but the image: the body (Otsu's threshold), divided into classes of intensity by k-means. For owners without labels.
    None {
        /// Classes inside the body, 1 to [`LabelSource::MAX_CLASSES`].
        classes: usize,
    },
}

impl LabelSource {
    /// The most classes of intensity.
    pub const MAX_CLASSES: usize = 16;
    /// What the choices are, for help texts.
    pub const HELP: &'static str = "files or none[:CLASSES]";

    /// Checks the number of classes.
    ///
    /// # Errors
    /// [`PerturbError::Config`] if it is not in 1 to [`LabelSource::MAX_CLASSES`].
    pub fn validate(&self) -> Result<(), PerturbError> {
        match *self {
            Self::None { classes } if !(1..=Self::MAX_CLASSES).contains(&classes) => {
                Err(PerturbError::Config {
                    what: "classes of intensity",
                    expected: format!("1 to {}", Self::MAX_CLASSES),
                    found: classes.to_string(),
                })
            }
            _ => Ok(()),
        }
    }

    /// Whether label files are needed.
    pub fn is_files(&self) -> bool {
        *self == Self::Files
    }
}

impl fmt::Display for LabelSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Files => f.write_str("files"),
            Self::None { classes } => write!(f, "none:{classes}"),
        }
    }
}

impl FromStr for LabelSource {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let classes = match (text, text.strip_prefix("none:")) {
            ("files", _) => return Ok(Self::Files),
            ("none", _) => Some(3),
            (_, Some(number)) => number.parse().ok(),
            _ => None,
        };
        classes
            .filter(|classes| (1..=Self::MAX_CLASSES).contains(classes))
            .map(|classes| Self::None { classes })
            .ok_or_else(|| {
                ParseError::new(format!(
                    "'{text}': expected {} with 1 to {} classes",
                    Self::HELP,
                    Self::MAX_CLASSES
                ))
            })
    }
}

/// Intensities outside this share of the voxels at either end do not stretch the histogram.
const TAIL: f64 = 0.005;
const BINS: usize = 256;
/// Rounds of k-means; in one dimension it settles long before.
const ROUNDS: usize = 100;

/// Labels of an image alone: 0 outside the body, `1..=classes` inside, from dark to bright. The body is [`Support::Body`] of the image
/// with each channel stretched between its 0.5 and 99.5 percentiles; the classes are k-means (Lloyd) of the channels' mean there,
/// over 256 bins, from the centres of equal shares of the voxels. A function of the voxels alone.
pub(super) fn pseudo_labels(volume: &Volume, classes: usize) -> Result<LabelMap, PipelineError> {
    LabelSource::None { classes }.validate()?;
    let image = Stretched {
        volume,
        windows: (0..volume.channels())
            .map(|channel| percentiles(volume, channel))
            .collect(),
    };
    let mut histogram = [0u64; BINS];
    image.each_in_body(&mut |bin| {
        if let Some(bin) = bin {
            histogram[bin] += 1;
        }
    })?;
    let class_of = k_means(&histogram, classes);
    let mut labels = Vec::with_capacity(volume.shape().iter().product());
    image.each_in_body(&mut |bin| labels.push(bin.map_or(0, |bin| 1 + class_of[bin])))?;
    Ok(LabelMap::derived(volume, labels)?)
}

/// A volume without labels, each channel stretched between two of its percentiles.
struct Stretched<'a> {
    volume: &'a Volume,
    windows: Vec<(f32, f32)>,
}

impl Stretched<'_> {
    /// For every voxel in order the bin of the channels' mean, or `None` outside of the body.
    fn each_in_body(&self, each: &mut dyn FnMut(Option<usize>)) -> Result<(), PipelineError> {
        let channels = self.channels().max(1);
        Support::Body.masks(self, 0, &mut |slices, body| {
            let image = self.image(slices);
            for (voxel, &inside) in body.iter().enumerate() {
                let mean = || {
                    let values = image.iter().skip(voxel).step_by(body.len());
                    values.sum::<f32>() / channels as f32
                };
                each((inside > 0.0).then(|| ((mean() * BINS as f32) as usize).min(BINS - 1)));
            }
        })?;
        Ok(())
    }
}

impl CaseSlices for Stretched<'_> {
    fn shape(&self) -> [usize; 3] {
        self.volume.shape()
    }

    fn channels(&self) -> usize {
        self.volume.channels()
    }

    fn labels(&self, slices: Range<usize>) -> Vec<u16> {
        vec![0; slices.len() * self.shape()[1..].iter().product::<usize>()]
    }

    fn image(&self, slices: Range<usize>) -> Vec<f32> {
        let mut slab = self.volume.slab(slices);
        for (mut channel, (lo, hi)) in slab.outer_iter_mut().zip(&self.windows) {
            let width = (hi - lo).max(f32::MIN_POSITIVE);
            channel.mapv_inplace(|v| ((v - lo) / width).clamp(0.0, 1.0));
        }
        slab.into_raw_vec_and_offset().0
    }
}

/// The values of a channel above which all but a tail are, and below which all but a tail are.
fn percentiles(volume: &Volume, channel: usize) -> (f32, f32) {
    let last = volume.shape().iter().product::<usize>().saturating_sub(1);
    let at = |share: f64| {
        let rank = (share * last as f64).round() as u64;
        let found = order_statistic(rank, &mut |see| {
            for slices in slabs(volume.shape()) {
                if let Some(values) = volume.slab(slices).outer_iter().nth(channel) {
                    see(values.as_slice().unwrap_or_default());
                }
            }
        });
        found.map_or(0.0, |found| found.value)
    };
    (at(TAIL), at(1.0 - TAIL))
}

/// The class of each bin, `0..classes`, in the order of their centres.
fn k_means(histogram: &[u64; BINS], classes: usize) -> [u8; BINS] {
    let total: u64 = histogram.iter().sum();
    let mut centres: Vec<f64> = (0..classes)
        .map(|class| {
            // The bin at the middle of the class's share of the voxels.
            let wanted = (2 * class + 1) as f64 / (2 * classes) as f64 * total as f64;
            let mut seen = 0.0;
            let bin = histogram.iter().position(|&count| {
                seen += count as f64;
                seen >= wanted
            });
            bin.unwrap_or(BINS - 1) as f64
        })
        .collect();
    let nearest = |centres: &[f64]| {
        std::array::from_fn(|bin| {
            let apart = |class: usize| (bin as f64 - centres[class]).abs();
            let best = (0..classes).min_by(|&a, &b| apart(a).total_cmp(&apart(b)));
            best.unwrap_or(0) as u8
        })
    };
    let mut class_of: [u8; BINS] = nearest(&centres);
    for _ in 0..ROUNDS {
        for (class, centre) in centres.iter_mut().enumerate() {
            let own = || (0..BINS).filter(|&bin| usize::from(class_of[bin]) == class);
            let count: u64 = own().map(|bin| histogram[bin]).sum();
            if count > 0 {
                let sum: f64 = own().map(|bin| bin as f64 * histogram[bin] as f64).sum();
                *centre = sum / count as f64;
            }
        }
        let next = nearest(&centres);
        if next == class_of {
            break;
        }
        class_of = next;
    }
    class_of
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_parse_and_print_back() {
        for text in ["files", "none:3", "none:16"] {
            assert_eq!(text.parse::<LabelSource>().unwrap().to_string(), text);
        }
        assert_eq!("none".parse(), Ok(LabelSource::None { classes: 3 }));
        for text in ["none:0", "none:17", "none:x", "all", ""] {
            assert!(text.parse::<LabelSource>().is_err(), "{text}");
        }
        // What was not parsed is checked all the same.
        for (classes, good) in [(0, false), (1, true), (16, true), (17, false), (300, false)] {
            let source = LabelSource::None { classes };
            assert_eq!(source.validate().is_ok(), good, "{classes}");
        }
    }

    #[test]
    fn three_clusters_become_three_classes_from_dark_to_bright() {
        let mut histogram = [0; BINS];
        for (centre, count) in [(30usize, 500u64), (120, 100), (220, 300)] {
            histogram[centre - 8..=centre + 8].fill(count);
        }
        let class_of = k_means(&histogram, 3);
        for (class, centre) in [30usize, 120, 220].into_iter().enumerate() {
            let classes = &class_of[centre - 8..=centre + 8];
            assert!(
                classes.iter().all(|&c| usize::from(c) == class),
                "{classes:?}"
            );
        }
        assert!(class_of.is_sorted());
        assert_eq!(k_means(&histogram, 1), [0; BINS]);
    }
}
