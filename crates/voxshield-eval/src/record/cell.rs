use serde::{Deserialize, Serialize};

use crate::{Augmentation, Preprocessing, metrics::RegionScore};

/// The name of "no defence" in [`CellKey::defence`].
pub const NO_DEFENCE: &str = "none";

/// One victim: what it was trained from, what it is, and what its owner did against the protection.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CellKey {
    /// The training set's name, see [`TrainingSet`](super::TrainingSet).
    pub training_set: String,
    /// The network's name in [`ARCHITECTURES`](voxshield_models::ARCHITECTURES).
    pub network: String,
    /// How the victim preprocesses.
    pub preprocessing: Preprocessing,
    /// How it augments.
    pub augmentation: Augmentation,
    /// The defence by name; [`NO_DEFENCE`] for none.
    pub defence: String,
    /// Seed of weights, order, patches, augmentation and defence.
    pub seed: u64,
}

/// One victim and what came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    /// Which victim.
    pub key: CellKey,
    /// SHA-256 of its settings and input files; results are stored under it.
    pub hash: String,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of a cell.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum Outcome {
    /// Trained and tested.
    Done(Box<CellResult>),
    /// Training or testing failed; the other cells go on.
    Failed {
        /// Why.
        reason: String,
    },
}

impl Outcome {
    /// The result, if there is one.
    pub fn result(&self) -> Option<&CellResult> {
        match self {
            Self::Done(result) => Some(result),
            Self::Failed { .. } => None,
        }
    }
}

/// How a victim did on the clean test cases.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CellResult {
    /// After the last step.
    #[serde(rename = "final")]
    pub last: Scores,
    /// At the best point of the curve: a victim that stops early on clean cases. It is chosen on the
    /// test cases, so it is an upper bound of what such a victim reaches.
    pub peak: Scores,
    /// The step of the peak.
    pub peak_step: usize,
    /// The training, point by point.
    pub curve: Vec<CurvePoint>,
    /// Seconds for training and testing.
    pub seconds: f64,
}

/// One point of a training curve.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CurvePoint {
    /// Optimiser steps done.
    pub step: usize,
    /// Mean training loss since the last point.
    pub loss: f64,
    /// Mean Dice on the clean test cases.
    pub dice: f64,
}

/// Scores over the test cases.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// Mean Dice of the labels that occur in the test cases.
    pub mean_dice: f64,
    /// One entry for each label of the training set but the background.
    pub labels: Vec<LabelScore>,
    /// Combined regions (BraTS: `et`, `tc`, `wt`), where the dataset has them.
    pub regions: Vec<RegionScore>,
}

/// Scores of one label: means over the test cases that have it. A case without the label is not scored, whatever is predicted there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LabelScore {
    /// The label's value.
    pub label: u16,
    /// Test cases that have the label.
    pub cases: usize,
    /// Test cases that have it and in which the prediction has it too; distances are means over these.
    pub found: usize,
    /// Dice; a case without any predicted voxel counts 0.
    pub dice: Option<f64>,
    /// The Dice of each of these cases, in the order of the test set.
    pub dice_by_case: Vec<f64>,
    /// Intersection over union, by the same rule.
    pub iou: Option<f64>,
    /// 95th percentile of the surface distances in mm, as in
    /// [`SurfaceDistances`](crate::metrics::SurfaceDistances).
    pub hd95_mm: Option<f64>,
    /// Average symmetric surface distance in mm.
    pub assd_mm: Option<f64>,
}
