use burn::tensor::Device;
use ndarray::{Array3, Array4};

use super::{
    countermeasure::Countermeasure, labelled::LabelledSet, preprocess::Preprocessor,
    training::native_labels,
};
use crate::{
    data::{Case, CtStatistics},
    eval::{
        EvalError,
        metrics::{Overlap, Region, RegionEvaluation, SurfaceDistances},
        record::{LabelScore, Scores},
    },
    models::{Segmenter, SlidingWindow},
    pipeline::{PipelineError, PreparedCase},
};

/// Windows in one forward pass.
const WINDOWS: usize = 4;

/// How cases are segmented and scored.
pub(super) struct Scorer<'a> {
    pub(super) preprocessor: &'a Preprocessor,
    /// The label of each class of the network.
    pub(super) classes: &'a [u16],
    pub(super) patch: [usize; 3],
    pub(super) device: &'a Device,
    /// What the network's owner did to the images that it was trained on and may do to these, with the training set's CT statistics.
    pub(super) defence: Option<Defended<'a>>,
}

/// A defence of images and the CT statistics, one entry a channel, that set its window.
pub(super) type Defended<'a> = (&'a Countermeasure, &'a [Option<CtStatistics>]);

impl Scorer<'_> {
    /// Scores a network on the files of these cases, on their native grids; where there is a defence, as they are and through it. The
    /// higher mean Dice counts, since the network's owner takes what serves her better.
    pub(super) fn score(
        &self,
        network: &dyn Segmenter,
        set: &LabelledSet,
        cases: &[Case],
    ) -> Result<Scores, PipelineError> {
        let raw = self.scores(network, set, cases, None)?;
        let Some(defence) = self.defence else {
            return Ok(raw);
        };
        let defended = self.scores(network, set, cases, Some(defence))?;
        Ok(match defended.mean_dice > raw.mean_dice {
            true => defended,
            false => raw,
        })
    }

    fn scores(
        &self,
        network: &dyn Segmenter,
        set: &LabelledSet,
        cases: &[Case],
        defence: Option<Defended<'_>>,
    ) -> Result<Scores, PipelineError> {
        let mut sums = vec![Sum::default(); self.classes.len()];
        let mut regions = RegionEvaluation::new(regions(set.dataset.layout));
        for case in cases {
            let prepared = PreparedCase::open(&set.dataset, case)?;
            let truth: Vec<u16> = native_labels(&prepared).into_raw_vec_and_offset().0;
            let prediction = self.segment(network, &prepared, defence)?;
            let (shape, spacing) = (prepared.volume.shape(), prepared.volume.spacing());
            for (&label, sum) in self.classes.iter().zip(&mut sums).skip(1) {
                sum.add(&prediction, &truth, label, shape, spacing)?;
            }
            regions.add(&prediction, &truth)?;
        }
        let labels: Vec<LabelScore> = self
            .classes
            .iter()
            .zip(&sums)
            .skip(1)
            .map(|(&label, sum)| sum.score(label))
            .collect();
        let present: Vec<f64> = labels.iter().filter_map(|label| label.dice).collect();
        Ok(Scores {
            mean_dice: present.iter().sum::<f64>() / present.len().max(1) as f64,
            labels,
            regions: regions.report().regions,
        })
    }

    /// The labels `[depth, height, width]` that the network gives a case.
    fn segment(
        &self,
        network: &dyn Segmenter,
        prepared: &PreparedCase,
        defence: Option<Defended<'_>>,
    ) -> Result<Vec<u16>, PipelineError> {
        let volume = &prepared.volume;
        let mut image = volume.array();
        // Nobody has the labels of what she segments.
        let mut unknown = Array3::zeros(volume.shape());
        if let Some((defence, ct)) = defence {
            defence.apply(ct, &mut image, &mut unknown, 0)?;
        }
        let seen = self
            .preprocessor
            .apply(image, unknown.view(), volume.spacing())?;
        let [depth, height, width] = seen.shape();
        let window = SlidingWindow {
            batch: WINDOWS,
            ..SlidingWindow::new(self.patch)
        };
        let image: Vec<f32> = seen.image.iter().copied().collect();
        let logits = window
            .run(network, &image, seen.shape(), self.device)
            .map_err(EvalError::from)?;
        let dims = (network.classes(), depth, height, width);
        let logits = Array4::from_shape_vec(dims, logits).map_err(|_| EvalError::Empty {
            shape: seen.shape(),
        })?;
        let label = |class: &u16| self.classes.get(usize::from(*class)).copied().unwrap_or(0);
        Ok(seen.restore(logits)?.iter().map(label).collect())
    }
}

/// BraTS is judged by three overlapping regions; the enhancing tumour is 3, or 4 in older releases.
fn regions(layout: &str) -> Vec<Region> {
    match layout {
        "brats" => vec![
            Region::new("et", [3, 4]),
            Region::new("tc", [1, 3, 4]),
            Region::new("wt", [1, 2, 3, 4]),
        ],
        _ => Vec::new(),
    }
}

/// The scores of one label, added up over the cases.
#[derive(Debug, Clone, Default)]
struct Sum {
    cases: usize,
    found: usize,
    dice: f64,
    iou: f64,
    hd95: f64,
    assd: f64,
}

impl Sum {
    fn add(
        &mut self,
        prediction: &[u16],
        truth: &[u16],
        label: u16,
        shape: [usize; 3],
        spacing: [f64; 3],
    ) -> Result<(), EvalError> {
        let overlap = Overlap::count(prediction, truth, |v| v == label)?;
        let (Some(dice), Some(iou)) = (overlap.dice(), overlap.iou()) else {
            return Ok(());
        };
        self.cases += 1;
        self.dice += dice;
        self.iou += iou;
        let mask = |labels: &[u16]| -> Vec<bool> { labels.iter().map(|&v| v == label).collect() };
        let (prediction, truth) = (mask(prediction), mask(truth));
        if prediction.contains(&true) {
            let surfaces = SurfaceDistances::measure(&prediction, &truth, shape, spacing)?;
            self.found += 1;
            self.hd95 += surfaces.hausdorff95();
            self.assd += surfaces.symmetric_mean();
        }
        Ok(())
    }

    fn score(&self, label: u16) -> LabelScore {
        let mean = |sum: f64, count: usize| (count > 0).then(|| sum / count as f64);
        LabelScore {
            label,
            cases: self.cases,
            found: self.found,
            dice: mean(self.dice, self.cases),
            iou: mean(self.iou, self.cases),
            hd95_mm: mean(self.hd95, self.found),
            assd_mm: mean(self.assd, self.found),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use burn::tensor::Tensor;
    use voxshield_testkit::device;

    use super::*;
    use crate::{
        data::{Affine, write_new},
        eval::Preprocessing,
        pipeline::evaluate::preprocess::moments,
    };

    /// Foreground is what is brighter than a z-score.
    struct Threshold(f64);

    impl Segmenter for Threshold {
        fn forward(&self, x: Tensor<5>) -> Tensor<5> {
            Tensor::cat(vec![x.zeros_like(), x - self.0], 1)
        }

        fn in_channels(&self) -> usize {
            1
        }

        fn classes(&self) -> usize {
            2
        }

        fn size_multiple(&self) -> [usize; 3] {
            [1; 3]
        }

        fn flops(&self, _: [usize; 3]) -> u64 {
            0
        }
    }

    /// Brightness ranks of the voxels, from 0 to 1 in disorder.
    fn ranks() -> Array3<f64> {
        let voxel = |(i, j, k): (usize, usize, usize)| (i * 10 + j) * 8 + k;
        Array3::from_shape_fn((9, 10, 8), |at| (voxel(at) * 7 % 720) as f64 / 719.0)
    }

    /// From dark to bright by the exponential function: few voxels have most of the range.
    fn brightness(rank: f64) -> f32 {
        (20.0 * rank).exp() as f32
    }

    /// One case; the label is the brightest fifth.
    fn dataset(root: &Path) -> LabelledSet {
        let unit = |row: usize| std::array::from_fn(|column| f64::from(u8::from(row == column)));
        let affine = Affine::new([0, 1, 2, 3].map(unit));
        let image = ranks().mapv(brightness);
        let label = ranks().mapv(|rank| u8::from(rank > 0.8));
        let write = |folder: &str| {
            std::fs::create_dir_all(root.join(folder)).unwrap();
            root.join(folder).join("a.nii.gz")
        };
        write_new(&write("images"), image.view(), &affine).unwrap();
        write_new(&write("labels"), label.view(), &affine).unwrap();
        LabelledSet::open(root, None).unwrap()
    }

    /// Networks that have learnt a clean set perfectly, with and without a defence: neither may look worse for it.
    #[test]
    fn a_defence_is_carried_out_on_test_images_too_where_that_is_better() {
        let folder = tempfile::tempdir().unwrap();
        let set = dataset(folder.path());
        let (device, preprocessor) = (
            device(),
            Preprocessor::fit(Preprocessing::Plain, &set, [8; 3], None),
        );
        let matched = Countermeasure::find("histogram-match").unwrap();
        let affine = Countermeasure::find("affine").unwrap();
        assert!(matched.at_test() && !affine.at_test());
        // The z-score of the darkest foreground in the files, and after their histograms were made even.
        let learnt = |seen: &dyn Fn(f64) -> f32| {
            let values: Vec<f32> = ranks().iter().map(|&rank| seen(rank)).collect();
            let (mean, deviation) = moments(values.iter());
            Threshold((f64::from(seen(0.8)) - mean) / deviation)
        };
        let (plain, defended) = (learnt(&brightness), learnt(&|rank| rank as f32));
        let dice = |network: &Threshold, defence: Option<&Countermeasure>| {
            let scorer = Scorer {
                preprocessor: &preprocessor,
                classes: &set.classes,
                patch: [8; 3],
                device: &device,
                defence: defence.map(|defence| (defence, set.ct.as_slice())),
            };
            scorer.score(network, &set, &set.cases).unwrap().mean_dice
        };
        let undefended = dice(&plain, None);
        assert!(undefended > 0.99, "{undefended}");
        assert!((dice(&defended, Some(&matched)) - undefended).abs() < 0.05);
        assert!((dice(&plain, Some(&matched)) - undefended).abs() < 0.05);
        let raw = dice(&defended, None);
        assert!(
            raw < 0.7,
            "what it would have been on files as they are: {raw}"
        );
    }
}
