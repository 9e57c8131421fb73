use burn::tensor::Device;
use ndarray::Array4;

use super::{labelled::LabelledSet, preprocess::Preprocessor, training::native_labels};
use crate::{
    data::Case,
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
}

impl Scorer<'_> {
    /// Scores a network on the files of these cases, on their native grids.
    pub(super) fn score(
        &self,
        network: &dyn Segmenter,
        set: &LabelledSet,
        cases: &[Case],
    ) -> Result<Scores, PipelineError> {
        let mut sums = vec![Sum::default(); self.classes.len()];
        let mut regions = RegionEvaluation::new(regions(set.dataset.layout));
        for case in cases {
            let prepared = PreparedCase::open(&set.dataset, case)?;
            let truth: Vec<u16> = native_labels(&prepared).into_raw_vec_and_offset().0;
            let prediction = self.segment(network, &prepared)?;
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
    ) -> Result<Vec<u16>, PipelineError> {
        let volume = &prepared.volume;
        let labels = native_labels(prepared);
        let seen = self
            .preprocessor
            .apply(volume.array(), labels.view(), volume.spacing())?;
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
    use ndarray::Array3;

    use super::{
        super::{
            EvaluateOptions,
            fixtures::{Thresholds, open, seen, write},
        },
        *,
    };
    use crate::eval::Preprocessing;

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
