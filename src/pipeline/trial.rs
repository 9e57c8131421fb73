use std::{collections::BTreeSet, path::Path};

use serde::Serialize;

use super::{CachedSource, PipelineError, PreparedCase};
use crate::{
    data::{Case, Dataset, discover},
    eval::{VictimConfig, metrics::dice, predict, train_victim},
    models::SlidingWindow,
    perturb::{SourceError, TrainingVolume},
};

/// Mean Dice of one label over the test cases that have it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LabelScore {
    /// The label value.
    pub label: u16,
    /// The mean, `None` if no test case has the label.
    pub dice: Option<f64>,
    /// Test cases that have it.
    pub cases: usize,
}

/// How a victim did on clean test cases.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TrialResult {
    /// One score a label.
    pub labels: Vec<LabelScore>,
    /// The mean over the labels that occur.
    pub mean_dice: f64,
    /// The victim's last training loss.
    pub final_loss: f32,
}

/// Trains a victim from the *files* of `train` and tests it on the files of `test`.
///
/// The victim preprocesses as a user would who knows nothing of the protection: each channel of
/// each case to mean 0 and standard deviation 1, on the stored grid; it predicts in sliding windows
/// of its patch size. Channels and classes come from the data.
///
/// # Errors
/// [`PipelineError`] if a dataset has no usable case, a file cannot be read, or training fails.
pub fn trial(
    train: &Path,
    test: &Path,
    config: &VictimConfig,
    device: super::DeviceChoice,
    observer: &mut dyn FnMut(usize, usize, f32),
) -> Result<TrialResult, PipelineError> {
    let device = device.open()?;
    let (train_set, train_cases) = labelled(train)?;
    let (test_set, test_cases) = labelled(test)?;
    let mut classes = BTreeSet::from([0u16]);
    let mut channels = 1;
    for case in &train_cases {
        let prepared = PreparedCase::open(&train_set, case)?;
        channels = prepared.volume.channels();
        classes.extend(prepared.labels.iter().flat_map(|l| l.classes()));
    }
    let classes: Vec<u16> = classes.into_iter().collect();
    let sizes = [channels, classes.len().max(2)];
    let mut source = CachedSource::new(train_cases.len(), |index| {
        load(&train_set, &train_cases[index], &classes)
            .map_err(|error| Box::new(error) as SourceError)
    });
    let mut final_loss = f32::NAN;
    let victim = train_victim(
        config,
        &mut source,
        sizes,
        &device,
        &mut |done, total, loss| {
            final_loss = loss;
            observer(done, total, loss);
        },
    )?;
    drop(source);

    let window = SlidingWindow::new(config.patch);
    let mut sums = vec![(0.0, 0usize); classes.len()];
    for case in &test_cases {
        let prepared = PreparedCase::open(&test_set, case)?;
        let shape = prepared.volume.shape();
        let segmentation = predict(&*victim, &z_scores(&prepared), shape, &window, &device)?;
        let segmentation: Vec<u16> = segmentation
            .iter()
            .map(|&class| classes.get(usize::from(class)).copied().unwrap_or(0))
            .collect();
        let truth: Vec<u16> = prepared
            .labels
            .iter()
            .flat_map(|l| l.array().iter().copied())
            .collect();
        for (&label, sum) in classes.iter().zip(&mut sums).skip(1) {
            if let Some(score) = dice(&segmentation, &truth, label)? {
                *sum = (sum.0 + score, sum.1 + 1);
            }
        }
    }
    let labels: Vec<LabelScore> = classes
        .iter()
        .zip(&sums)
        .skip(1)
        .map(|(&label, &(sum, cases))| LabelScore {
            label,
            dice: (cases > 0).then(|| sum / cases as f64),
            cases,
        })
        .collect();
    let present: Vec<f64> = labels.iter().filter_map(|l| l.dice).collect();
    Ok(TrialResult {
        mean_dice: present.iter().sum::<f64>() / present.len().max(1) as f64,
        labels,
        final_loss,
    })
}

fn labelled(root: &Path) -> Result<(Dataset, Vec<Case>), PipelineError> {
    let dataset = discover(root)?;
    let cases: Vec<Case> = dataset
        .cases
        .iter()
        .filter(|case| case.label.is_some())
        .cloned()
        .collect();
    if cases.is_empty() {
        return Err(PipelineError::NoUsableCase {
            path: root.to_path_buf(),
            failed: dataset.problems.len(),
            first: "no labelled case".into(),
        });
    }
    Ok((dataset, cases))
}

fn load(dataset: &Dataset, case: &Case, classes: &[u16]) -> Result<TrainingVolume, PipelineError> {
    let prepared = PreparedCase::open(dataset, case)?;
    let image = z_scores(&prepared);
    let voxels = prepared.volume.shape().iter().product();
    Ok(prepared.training_volume(image, vec![1.0; voxels], classes))
}

fn z_scores(prepared: &PreparedCase) -> Vec<f32> {
    let mut out = Vec::with_capacity(prepared.volume.array().len());
    for channel in prepared.volume.array().outer_iter() {
        let n = channel.len().max(1) as f64;
        let mean = channel.iter().map(|&v| f64::from(v)).sum::<f64>() / n;
        let variance = channel
            .iter()
            .map(|&v| (f64::from(v) - mean).powi(2))
            .sum::<f64>()
            / n;
        let sd = variance.sqrt().max(1e-8);
        out.extend(channel.iter().map(|&v| ((f64::from(v) - mean) / sd) as f32));
    }
    out
}
