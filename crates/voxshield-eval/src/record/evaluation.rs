use serde::{Deserialize, Serialize};

use super::{Cell, Quality, Summary};
use crate::{Augmentation, Preprocessing};

/// Everything an evaluation found, and what it was made with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EvaluationRecord {
    /// Version of this format, [`EvaluationRecord::FORMAT`].
    pub format: u32,
    /// The program's version.
    pub version: String,
    /// The revision of the evaluation: results of different revisions are not to be compared.
    pub revision: u32,
    /// What was asked for.
    pub settings: EvaluationSettings,
    /// The training sets, controls included; the clean one first, if there is one.
    pub training_sets: Vec<TrainingSet>,
    /// The clean test cases.
    pub test: DatasetFacts,
    /// Names of the labels, where the dataset says them.
    pub label_names: Vec<(u16, String)>,
    /// One entry a victim, in the order of the plan.
    pub cells: Vec<Cell>,
    /// One entry for each training set with a clean twin: how visible and how harmful the change is.
    pub quality: Vec<Quality>,
    /// Means over the seeds, and the owner's worst case.
    pub summary: Summary,
    /// Remarks for the reader, such as a control that is missing and why.
    pub notes: Vec<String>,
    /// Seconds of the cells, also of those that an earlier run computed.
    pub seconds: f64,
}

impl EvaluationRecord {
    /// The format version that this crate writes.
    pub const FORMAT: u32 = 2;
}

/// What was asked for. Victims differ in network, preprocessing, augmentation, defence and seed;
/// everything else is common to all.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EvaluationSettings {
    /// Names of the victims' networks.
    pub networks: Vec<String>,
    /// `narrow` or `full`.
    pub width: voxshield_models::Width,
    /// Preprocessings.
    pub preprocessing: Vec<Preprocessing>,
    /// Augmentations.
    pub augmentations: Vec<Augmentation>,
    /// Defences by name, `none` among them.
    pub defences: Vec<String>,
    /// Whether the controls went through the defences too.
    pub defend_controls: bool,
    /// Distribution of the random control.
    pub noise: voxshield_perturb::RandomNoise,
    /// Seeds.
    pub seeds: Vec<u64>,
    /// Optimiser steps of a victim.
    pub steps: usize,
    /// Steps between two points of the curve.
    pub test_every: usize,
    /// Patches a step.
    pub batch: usize,
    /// Patch size `[depth, height, width]` in voxels, of all preprocessings but `paper`.
    pub patch: [usize; 3],
    /// The grid `[depth, height, width]` of the preprocessing `paper`, which is also its patch.
    pub grid: [usize; 3],
    /// Spacing `[depth, height, width]` in mm that `nnunet` resamples to; each training set's median if `None`.
    pub target_spacing: Option<[f64; 3]>,
    /// Optimiser and step size, in words.
    pub optimiser: String,
    /// The type of the networks' activations.
    pub precision: voxshield_models::Precision,
    /// Whether cheap activations were computed again for the backward pass.
    pub checkpointing: bool,
    /// What it was computed on.
    pub device: String,
}

/// Where a training set comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// The control without any perturbation.
    Clean,
    /// The control with random noise of the same budget and support.
    Random,
    /// The dataset under test.
    Protected,
    /// Another one to compare with.
    Other,
}

/// A training set of victims.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainingSet {
    /// Its name in cells and tables.
    pub name: String,
    /// Where it comes from.
    pub role: Role,
    /// What it is.
    pub facts: DatasetFacts,
    /// Budget in normalised units, from its manifest.
    pub epsilon: Option<f64>,
    /// Support by name, from its manifest.
    pub support: Option<String>,
    /// The method with all settings as JSON text, from its manifest.
    pub method: Option<String>,
}

/// What identifies a dataset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatasetFacts {
    /// Labelled cases.
    pub cases: usize,
    /// SHA-256 over the names and hashes of its image and label files.
    pub sha256: String,
}
