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
    dice: Vec<f64>,
    found: usize,
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
        self.dice.push(dice);
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
        let cases = self.dice.len();
        let mean = |sum: f64, count: usize| (count > 0).then(|| sum / count as f64);
        LabelScore {
            label,
            cases,
            found: self.found,
            dice: mean(self.dice.iter().sum(), cases),
            dice_by_case: self.dice.clone(),
            iou: mean(self.iou, cases),
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

    use super::{
        super::{
            EvaluateOptions,
            fixtures::{Thresholds, open, seen, write},
            preprocess::moments,
        },
        *,
    };
    use crate::{
        data::{Affine, write_new},
        eval::Preprocessing,
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
        let file = |folder: &str| {
            std::fs::create_dir_all(root.join(folder)).unwrap();
            root.join(folder).join("a.nii.gz")
        };
        write_new(&file("images"), image.view(), &affine).unwrap();
        write_new(&file("labels"), label.view(), &affine).unwrap();
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

    /// What [`Thresholds`] gets on a case that it half sees and one without contrast, in which it sees nothing; voxels of 3 x 1 x 0.5 mm.
    fn scored(layout: &'static str, classes: &[u16], other: u8) -> Scores {
        let folder = tempfile::tempdir().unwrap();
        let mut unseen = Array3::zeros((6, 4, 4));
        unseen[[2, 2, 2]] = 2;
        let cases = [
            seen(0..3, other),
            (Array3::from_elem((6, 4, 4), 7.0), unseen),
        ];
        write(folder.path(), [3.0, 1.0, 0.5], &cases);
        let mut set = open(folder.path());
        set.dataset.layout = layout;
        let options = EvaluateOptions::default();
        let device = options.device.open().unwrap();
        let scorer = Scorer {
            preprocessor: &Preprocessor::fit(Preprocessing::Plain, &set, [4; 3], None),
            classes,
            patch: [6, 4, 4],
            device: &device,
            defence: None,
        };
        scorer.score(&Thresholds, &set, &set.cases).unwrap()
    }

    #[track_caller]
    fn close(found: Option<f64>, expected: f64) {
        assert!(
            found.is_some_and(|found| (found - expected).abs() < 1e-9),
            "{found:?} {expected}"
        );
    }

    /// By hand. Label 2 is at the depths 0 to 2 and seen at 1 to 3: two of three voxels, and the ends are one slice of 3 mm off.
    #[test]
    fn labels_are_scored_on_the_cases_that_have_them() {
        let scores = scored("plain", &[0, 2, 5], 5);
        let [two, five] = &scores.labels[..] else {
            panic!("{:?}", scores.labels)
        };
        assert_eq!((two.label, two.cases, two.found), (2, 2, 1));
        close(two.dice, 4.0 / 6.0 / 2.0);
        close(two.iou, 2.0 / 4.0 / 2.0);
        let [first, second] = two.dice_by_case[..] else {
            panic!("{:?}", two.dice_by_case)
        };
        close(Some(first), 4.0 / 6.0);
        assert_eq!(second, 0.0);
        // Of the distances 0, 0, 3 the 95th percentile is 0.9 of the way from the second to the third.
        close(two.hd95_mm, 2.7);
        close(two.assd_mm, 1.0);
        assert_eq!((five.label, five.cases, five.found), (5, 1, 1));
        close(five.dice, 1.0);
        close(five.hd95_mm, 0.0);
        close(Some(scores.mean_dice), (1.0 / 3.0 + 1.0) / 2.0);
        assert!(scores.regions.is_empty());
    }

    /// In older releases of BraTS the enhancing tumour is 4.
    #[test]
    fn the_regions_of_brats_know_the_label_4() {
        let scores = scored("brats", &[0, 2, 4], 4);
        let [et, tc, wt] = &scores.regions[..] else {
            panic!("{:?}", scores.regions)
        };
        for region in [et, tc] {
            assert_eq!((region.dice, region.cases), (Some(1.0), 1), "{region:?}");
        }
        // Three of four voxels of both in the first case, none in the second.
        assert_eq!(wt.cases, 2);
        close(wt.dice, 6.0 / 8.0 / 2.0);
        close(wt.iou, 3.0 / 5.0 / 2.0);
        let names: Vec<&str> = scores.regions.iter().map(|r| r.name.as_str()).collect();
        assert_eq!(names, ["et", "tc", "wt"]);
        // A region of no case has no score.
        let scores = scored("brats", &[0, 2, 5], 5);
        assert_eq!((scores.regions[0].dice, scores.regions[0].cases), (None, 0));
    }
}
