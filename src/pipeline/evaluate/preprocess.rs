use std::ops::Range;

use ndarray::{Array3, Array4, ArrayView3, ArrayView4, Axis, s};

use super::labelled::LabelledSet;
use crate::{
    data::{
        Boundary, CtStatistics, resample_image, resample_labels, resample_linear, shape_at_spacing,
    },
    eval::Preprocessing,
    pipeline::PipelineError,
};

/// A victim's way from files to its network and back.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Preprocessor {
    kind: Preprocessing,
    /// The grid of `paper`.
    grid: [usize; 3],
    /// The spacing of `nnunet`, `[depth, height, width]` in mm.
    spacing: [f64; 3],
    ct: Vec<Option<CtStatistics>>,
}

/// A case as the network sees it.
pub(super) struct Preprocessed {
    /// `[channel, depth, height, width]`.
    pub(super) image: Array4<f32>,
    /// `[depth, height, width]`.
    pub(super) labels: Array3<u16>,
    frame: Frame,
}

/// Where a preprocessed grid lies on the native one.
struct Frame {
    native: [usize; 3],
    first: [usize; 3],
    size: [usize; 3],
}

impl Preprocessor {
    /// Fits what the victim learns from its training set: spacing and CT statistics.
    pub(super) fn fit(
        kind: Preprocessing,
        set: &LabelledSet,
        grid: [usize; 3],
        spacing: Option<[f64; 3]>,
    ) -> Self {
        Self {
            kind,
            grid,
            spacing: spacing.unwrap_or(set.spacing),
            ct: set.ct.clone(),
        }
    }

    /// The spacing that a network is planned for, `[depth, height, width]` in mm.
    pub(super) fn spacing(&self) -> [f64; 3] {
        match self.kind {
            Preprocessing::NnUnet => self.spacing,
            Preprocessing::Plain | Preprocessing::Paper => [1.0; 3],
        }
    }

    /// How many patches out of three are placed on foreground.
    pub(super) fn foreground_thirds(&self) -> u32 {
        match self.kind {
            Preprocessing::NnUnet => 1,
            Preprocessing::Plain | Preprocessing::Paper => 2,
        }
    }

    /// The patch size of a victim that was asked to use `patch`.
    pub(super) fn patch(&self, patch: [usize; 3]) -> [usize; 3] {
        match self.kind {
            Preprocessing::Paper => self.grid,
            Preprocessing::Plain | Preprocessing::NnUnet => patch,
        }
    }

    /// Preprocesses a case on its native grid; `image` is in file units, `spacing` in mm.
    pub(super) fn apply(
        &self,
        mut image: Array4<f32>,
        labels: ArrayView3<'_, u16>,
        spacing: [f64; 3],
    ) -> Result<Preprocessed, PipelineError> {
        let native: [usize; 3] = labels.dim().into();
        let whole = Frame {
            native,
            first: [0; 3],
            size: native,
        };
        match self.kind {
            Preprocessing::Plain => {
                for (mut channel, ct) in image.outer_iter_mut().zip(&self.ct) {
                    let (zero, unit) = self.scale(channel.view(), ct.as_ref());
                    channel.mapv_inplace(|v| ((f64::from(v) - zero) / unit) as f32);
                }
                Ok(Preprocessed {
                    image,
                    labels: labels.to_owned(),
                    frame: whole,
                })
            }
            Preprocessing::Paper => {
                for (mut channel, ct) in image.outer_iter_mut().zip(&self.ct) {
                    let (middle, unit) = self.scale(channel.view(), ct.as_ref());
                    channel.mapv_inplace(|v| {
                        ((f64::from(v) - middle) / unit + 0.5).clamp(0.0, 1.0) as f32
                    });
                }
                self.resampled(&image, labels, whole, self.grid)
            }
            Preprocessing::NnUnet => {
                let frame = nonzero_box(image.view());
                let [z, y, x] = frame.inside();
                let cut = s![.., z.clone(), y.clone(), x.clone()];
                let mut image = image.slice(cut).to_owned();
                for (mut channel, ct) in image.outer_iter_mut().zip(&self.ct) {
                    let (zero, unit) = self.scale(channel.view(), ct.as_ref());
                    let (lo, hi) = ct.map_or((f64::MIN, f64::MAX), |ct| (ct.p005, ct.p995));
                    channel.mapv_inplace(|v| ((f64::from(v).clamp(lo, hi) - zero) / unit) as f32);
                }
                let shape = shape_at_spacing(frame.size, spacing, self.spacing)?;
                self.resampled(&image, labels.slice(s![z, y, x]), frame, shape)
            }
        }
    }

    /// What each channel of a case is divided by, in file units: a change of that size is a change of 1 to the network. `image` is in file
    /// units on its native grid.
    pub(super) fn units(&self, image: ArrayView4<'_, f32>) -> Vec<f64> {
        let seen = match self.kind {
            Preprocessing::NnUnet => {
                let [z, y, x] = nonzero_box(image).inside();
                image.slice_move(s![.., z, y, x])
            }
            Preprocessing::Plain | Preprocessing::Paper => image,
        };
        let channels = seen.outer_iter().zip(&self.ct);
        channels
            .map(|(channel, ct)| self.scale(channel, ct.as_ref()).1)
            .collect()
    }

    /// What is taken from a channel, and what the rest is divided by, in file units.
    fn scale(&self, channel: ArrayView3<'_, f32>, ct: Option<&CtStatistics>) -> (f64, f64) {
        match (self.kind, ct) {
            (Preprocessing::NnUnet, Some(ct)) => (ct.unclipped_mean, ct.unclipped_sd.max(1e-8)),
            (Preprocessing::NnUnet | Preprocessing::Plain, _) => moments(channel.iter()),
            (Preprocessing::Paper, ct) => {
                let (mean, sd) = match ct {
                    Some(ct) => (ct.mean, ct.sd),
                    None => moments(channel.iter().filter(|&&v| v > 0.0)),
                };
                // The mean -+ 5 deviations are 0 and 1, as the protection has them.
                (mean, 10.0 * sd)
            }
        }
    }

    fn resampled(
        &self,
        image: &Array4<f32>,
        labels: ArrayView3<'_, u16>,
        frame: Frame,
        shape: [usize; 3],
    ) -> Result<Preprocessed, PipelineError> {
        Ok(Preprocessed {
            image: resample_image(image.view(), shape, Boundary::Clamp)?,
            labels: resample_labels(labels, shape, Boundary::Clamp)?,
            frame,
        })
    }
}

impl Preprocessed {
    /// `[depth, height, width]` of the network's grid.
    pub(super) fn shape(&self) -> [usize; 3] {
        self.labels.dim().into()
    }

    /// Logits `[class, depth, height, width]` of the network's grid as class indices on the native grid: scores are
    /// interpolated linearly, the largest wins; outside of a crop it is background.
    pub(super) fn restore(&self, logits: Array4<f32>) -> Result<Array3<u16>, PipelineError> {
        let logits = match self.shape() == self.frame.size {
            true => logits,
            false => resample_linear(logits.view(), self.frame.size)?,
        };
        let mut native = Array3::zeros(self.frame.native);
        let [z, y, x] = self.frame.inside();
        let mut inner = native.slice_mut(s![z, y, x]);
        for ((z, y, x), class) in inner.indexed_iter_mut() {
            let scores = logits.slice(s![.., z, y, x]);
            let mut best = 0;
            for (index, score) in scores.iter().enumerate() {
                if *score > scores[best] {
                    best = index;
                }
            }
            *class = best as u16;
        }
        Ok(native)
    }
}

impl Frame {
    /// The voxels along each axis.
    fn inside(&self) -> [Range<usize>; 3] {
        std::array::from_fn(|axis| self.first[axis]..self.first[axis] + self.size[axis])
    }
}

/// Mean and population deviation, the latter never 0.
pub(super) fn moments<'a>(values: impl Iterator<Item = &'a f32> + Clone) -> (f64, f64) {
    let n = values.clone().count().max(1) as f64;
    let mean = values.clone().map(|&v| f64::from(v)).sum::<f64>() / n;
    let variance = values.map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>() / n;
    (mean, variance.sqrt().max(1e-8))
}

/// The smallest box that holds every voxel that is not 0 in all channels; the whole volume if there is none.
fn nonzero_box(image: ArrayView4<'_, f32>) -> Frame {
    let (_, depth, height, width) = image.dim();
    let native = [depth, height, width];
    let occupied = |axis: usize, index: usize| {
        image
            .index_axis(Axis(axis + 1), index)
            .iter()
            .any(|&v| v != 0.0)
    };
    let bounds = |axis: usize| {
        let mut inside = (0..native[axis]).filter(|&index| occupied(axis, index));
        let first = inside.next().unwrap_or(0);
        let last = inside.next_back().unwrap_or(first);
        match image.iter().all(|&v| v == 0.0) {
            true => (0, native[axis]),
            false => (first, last + 1 - first),
        }
    };
    let bounds = [0, 1, 2].map(bounds);
    Frame {
        native,
        first: bounds.map(|b| b.0),
        size: bounds.map(|b| b.1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn preprocessor(kind: Preprocessing) -> Preprocessor {
        Preprocessor {
            kind,
            grid: [6, 10, 7],
            spacing: [2.0, 0.5, 1.0],
            ct: vec![None],
        }
    }

    /// A ball of label 1, brighter than the rest, in a frame of zeros.
    fn case() -> (Array4<f32>, Array3<u16>) {
        let labels = Array3::from_shape_fn((12, 11, 13), |(z, y, x)| {
            let d = |a: usize, c: f64| (a as f64 - c).powi(2);
            u16::from(d(z, 6.0) + d(y, 5.0) + d(x, 6.0) < 10.0)
        });
        let image = Array4::from_shape_fn((1, 12, 11, 13), |(_, z, y, x)| {
            match (2..10).contains(&z) && (1..10).contains(&y) {
                true => 100.0 + 50.0 * f32::from(labels[[z, y, x]]) + x as f32,
                false => 0.0,
            }
        });
        (image, labels)
    }

    #[test]
    fn a_perfect_prediction_comes_back_nearly_perfect_from_every_grid() {
        let (image, labels) = case();
        for kind in Preprocessing::ALL {
            let done = preprocessor(kind)
                .apply(image.clone(), labels.view(), [1.0; 3])
                .unwrap();
            let shape = match kind {
                Preprocessing::Plain => [12, 11, 13],
                Preprocessing::Paper => [6, 10, 7],
                // The box of 8 x 9 x 13 at spacing 2, 0.5, 1.
                Preprocessing::NnUnet => [4, 18, 13],
            };
            assert_eq!(done.shape(), shape);
            assert_eq!(done.image.dim(), (1, shape[0], shape[1], shape[2]));
            let logits =
                Array4::from_shape_fn((2, shape[0], shape[1], shape[2]), |(c, z, y, x)| {
                    f32::from(usize::from(done.labels[[z, y, x]]) == c)
                });
            let back = done.restore(logits).unwrap();
            let (mut both, mut either) = (0, 0);
            for (a, b) in back.iter().zip(&labels) {
                both += usize::from(*a == 1 && *b == 1);
                either += usize::from(*a == 1) + usize::from(*b == 1);
            }
            let dice = 2.0 * both as f64 / either as f64;
            let least = if kind == Preprocessing::Plain {
                1.0
            } else {
                0.75
            };
            assert!(dice >= least, "{kind:?}: {dice}");
        }
    }

    #[test]
    fn intensities_are_scaled_as_stated() {
        let (image, labels) = case();
        let plain = preprocessor(Preprocessing::Plain)
            .apply(image.clone(), labels.view(), [1.0; 3])
            .unwrap();
        let (mean, sd) = moments(plain.image.iter());
        assert!(mean.abs() < 1e-5 && (sd - 1.0).abs() < 1e-5);
        // CT: clipped at 110 and 150, then (v - 120) / 10.
        let ct = CtStatistics {
            mean: 0.0,
            sd: 1.0,
            p005: 110.0,
            p995: 150.0,
            unclipped_mean: 120.0,
            unclipped_sd: 10.0,
        };
        let nnunet = Preprocessor {
            ct: vec![Some(ct)],
            spacing: [1.0; 3],
            ..preprocessor(Preprocessing::NnUnet)
        };
        let done = nnunet.apply(image, labels.view(), [1.0; 3]).unwrap();
        assert_eq!(done.shape(), [8, 9, 13]);
        assert_eq!(done.image[[0, 0, 0, 2]], -1.0, "102 is clipped to 110");
        assert_eq!(done.image[[0, 4, 4, 6]], 3.0, "156 is clipped to 150");
    }

    #[test]
    fn nnunet_takes_z_scores_of_mri_within_the_box() {
        let (image, labels) = case();
        let nnunet = Preprocessor {
            spacing: [1.0; 3],
            ..preprocessor(Preprocessing::NnUnet)
        };
        let done = nnunet.apply(image, labels.view(), [1.0; 3]).unwrap();
        assert_eq!(done.shape(), [8, 9, 13]);
        let (mean, sd) = moments(done.image.iter());
        assert!(mean.abs() < 1e-5 && (sd - 1.0).abs() < 1e-5, "{mean} {sd}");
        assert!(done.image[[0, 4, 4, 6]] > 1.0, "the ball is bright");
    }

    /// As the protection normalises: statistics of the voxels above 0, five deviations to either side.
    #[test]
    fn paper_counts_deviations_of_what_is_not_background() {
        let paper = Preprocessor {
            grid: [4, 5, 6],
            ..preprocessor(Preprocessing::Paper)
        };
        let labels = Array3::zeros((4, 5, 6));
        // The voxels above 0 have the mean 100 and the deviation 20.
        let image = Array4::from_shape_fn((1, 4, 5, 6), |(_, z, _, x)| match (z, x) {
            (0, _) => 0.0,
            (_, 0..3) => 80.0,
            _ => 120.0,
        });
        let done = paper.apply(image, labels.view(), [1.0; 3]).unwrap();
        let near = |found: f32, expected: f32| (found - expected).abs() < 1e-6;
        assert!(near(done.image[[0, 1, 2, 5]], 0.6), "one deviation up");
        assert!(near(done.image[[0, 3, 4, 0]], 0.4), "one deviation down");
        assert_eq!(done.image[[0, 0, 2, 3]], 0.0, "background, five down");
    }

    #[test]
    fn a_third_of_nnunets_patches_is_on_foreground_and_two_of_the_others() {
        let thirds = Preprocessing::ALL.map(|kind| preprocessor(kind).foreground_thirds());
        assert_eq!(thirds, [2, 2, 1], "plain, paper, nnunet");
    }

    #[test]
    fn an_empty_image_is_not_cropped() {
        let frame = nonzero_box(Array4::zeros((1, 3, 4, 5)).view());
        assert_eq!((frame.first, frame.size), ([0; 3], [3, 4, 5]));
    }
}
