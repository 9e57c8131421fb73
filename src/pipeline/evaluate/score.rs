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
