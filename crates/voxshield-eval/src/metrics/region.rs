use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{Overlap, same_length};
use crate::EvalError;

/// A structure that is scored as one: a name and the label values that belong to it.
///
/// Regions of one dataset may overlap (the whole tumour holds its core).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Region {
    /// What reports call it.
    pub name: String,
    /// The label values, or class indices, inside.
    pub values: BTreeSet<u16>,
}

impl Region {
    /// A region of the given label values.
    pub fn new(name: impl Into<String>, values: impl IntoIterator<Item = u16>) -> Self {
        Self {
            name: name.into(),
            values: values.into_iter().collect(),
        }
    }

    /// BraTS 2019, with the classes 1 necrotic core, 2 oedema and 3 enhancing tumour (4 in the
    /// published files): `et` = 3, `tc` = 1 and 3, `wt` = 1, 2 and 3.
    pub fn brats19() -> Vec<Self> {
        vec![
            Self::new("et", [3]),
            Self::new("tc", [1, 3]),
            Self::new("wt", [1, 2, 3]),
        ]
    }

    /// FLARE 2021, one region an organ: `liver` 1, `kidney` 2, `spleen` 3, `pancreas` 4.
    pub fn flare21() -> Vec<Self> {
        ["liver", "kidney", "spleen", "pancreas"]
            .into_iter()
            .zip(1..)
            .map(|(name, value)| Self::new(name, [value]))
            .collect()
    }
}

/// Collects Dice and IoU of regions, case by case.
///
/// A region's score is the mean over the cases **whose label has it**: the others are dropped, even
/// if the prediction has false positives there. This is the rule of the BraTS and FLARE evaluations
/// of the published reference; [`RegionScore::cases`] says how many were counted.
#[derive(Debug, Clone)]
pub struct RegionEvaluation {
    regions: Vec<Region>,
    sums: Vec<(f64, f64, usize)>,
}

impl RegionEvaluation {
    /// An evaluation without cases.
    pub fn new(regions: Vec<Region>) -> Self {
        Self {
            sums: vec![(0.0, 0.0, 0); regions.len()],
            regions,
        }
    }

    /// Adds one case: two label maps of one shape.
    ///
    /// # Errors
    /// [`EvalError::Length`] if they differ in length; the case is then not counted.
    pub fn add(&mut self, prediction: &[u16], truth: &[u16]) -> Result<(), EvalError> {
        same_length("prediction", truth.len(), prediction.len())?;
        for (region, (dice, iou, cases)) in self.regions.iter().zip(&mut self.sums) {
            let overlap = Overlap::count(prediction, truth, |v| region.values.contains(&v))?;
            if let (Some(d), Some(i)) = (overlap.dice(), overlap.iou()) {
                *dice += d;
                *iou += i;
                *cases += 1;
            }
        }
        Ok(())
    }

    /// The scores of the cases so far.
    pub fn report(&self) -> RegionReport {
        let regions: Vec<RegionScore> = self
            .regions
            .iter()
            .zip(&self.sums)
            .map(|(region, &(dice, iou, cases))| RegionScore {
                name: region.name.clone(),
                dice: (cases > 0).then(|| dice / cases as f64),
                iou: (cases > 0).then(|| iou / cases as f64),
                cases,
            })
            .collect();
        let mean = |score: fn(&RegionScore) -> Option<f64>| {
            let seen = regions.iter().filter_map(score);
            seen.clone().sum::<f64>() / seen.count().max(1) as f64
        };
        RegionReport {
            mean_dice: mean(|region| region.dice),
            mean_iou: mean(|region| region.iou),
            regions,
        }
    }
}

/// The scores of one region.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RegionScore {
    /// The region's name.
    pub name: String,
    /// Mean Dice over its cases; `None` if it never occurs.
    pub dice: Option<f64>,
    /// Mean IoU over its cases; `None` if it never occurs.
    pub iou: Option<f64>,
    /// Cases whose label has the region.
    pub cases: usize,
}

/// The scores of all regions, in the order in which they were given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RegionReport {
    /// One entry a region.
    pub regions: Vec<RegionScore>,
    /// Mean of the Dice scores of the regions that occur; 0 if none does.
    pub mean_dice: f64,
    /// Mean of the IoU scores of the regions that occur; 0 if none does.
    pub mean_iou: f64,
}
